"""Lists of lost customers as people make them: what is wrong is told by line, with what to do, and the rest is used."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from services.backtest.domain.history import AccountOutcome
from services.backtest.histories.outcome_file import BadOutcomesError, OutcomeFile, read_outcomes
from services.backtest.words import speech
from services.console.recorded.losses import Loss, LossesOnRecord, as_list
from services.shared.units import day_number

TODAY = date(2026, 6, 1)
TEN_BAD = """account,date,reason
acme,2026-03-31,price
,2026-03-31,no account
globex,,no date
initech,31.03.2026,German
umbrella,03/31/2026,American
hooli,2026-02-30,no such day
stark,soon,a word
wayne,2027-01-01,in the future
wonka,1970-01-01,too early
acme,2026-05-01,twice
soylent,2026-04-30,too,many,cells
tyrell,2026-01-15T10:00:00Z,
"""


def read(tmp_path: Path, text: str | bytes) -> OutcomeFile:
    path = tmp_path / "lost.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_outcomes(path, TODAY, speech("en"))


def day(year: int, month: int, day_: int) -> int:
    return day_number(date(year, month, day_))


def test_rows_and_cells_that_a_spreadsheet_left_empty_are_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, "account,date\r\nacme,2026-03-31,,\r\n,\r\n,,,\r\n")

    assert found == OutcomeFile((AccountOutcome("acme", day(2026, 3, 31), "lost", ""),), ())


def test_a_list_with_ten_wrong_lines_tells_ten_and_uses_the_rest(tmp_path: Path) -> None:
    found = read(tmp_path, TEN_BAD)

    assert found.outcomes == (
        AccountOutcome("acme", day(2026, 3, 31), "lost", "price"),
        AccountOutcome("tyrell", day(2026, 1, 15), "lost", ""),
    )
    assert [problem.split(":")[0] for problem in found.problems] == [f"line {number}" for number in range(3, 13)]


def test_accounts_whose_date_cannot_be_used_are_kept_apart_from_those_that_stayed(tmp_path: Path) -> None:
    """Not those of a date that lies ahead, and not those whose loss another line tells."""
    found = read(tmp_path, TEN_BAD + "acme,soon,\ninitech,,\n")

    assert found.dayless == ("globex", "initech", "umbrella", "hooli", "stark", "wonka")


def test_a_list_of_the_console_has_the_accounts_whose_recorded_losses_name_no_day(tmp_path: Path) -> None:
    found = LossesOnRecord([Loss("acme", "2026-03-31", "price")], 1, ["globex"])

    listed = read(tmp_path, as_list(found))

    assert listed.outcomes == (AccountOutcome("acme", day(2026, 3, 31), "lost", "price"),)
    assert listed.dayless == ("globex",)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (3, "account is empty: give the id that events carry"),
        (4, "date is empty: give the day"),
        (5, "date '31.03.2026' is not a date: write it as 2026-03-31"),
        (7, "date '2026-02-30' is not a date"),
        (9, "lies in the future"),
        (10, "is the year right?"),
        (11, "account 'acme' is on line 2 too; its first loss is there, and counts"),
        (12, "put quotes around text with commas"),
    ],
)
def test_each_says_what_to_do(tmp_path: Path, line: int, says: str) -> None:
    assert says in read(tmp_path, TEN_BAD).problems[line - 3]


def test_a_quote_that_is_not_closed_hides_no_other_line(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "account,date,reason\n"
        '"globex,2026-02-01,left open\n'
        "initech,soon,\n"
        "hooli,,\n"
        'stark,2026-03-01,"on two\nlines"\n'
        'umbrella,2026-03-02,price"\n'
        '"acme,2026-03-03,left open at the end\n'
        "wayne,2026-03-32,\n",
    )

    assert found.outcomes == (
        AccountOutcome("stark", day(2026, 3, 1), "lost", "on two\nlines"),
        AccountOutcome("umbrella", day(2026, 3, 2), "lost", 'price"'),
    )
    assert [problem.split(":")[0] for problem in found.problems] == ["line 2", "line 3", "line 4", "line 8", "line 9"]
    assert "is a quote opened and not closed?" in found.problems[0]
    assert "is a quote opened and not closed?" in found.problems[3]


def test_a_quote_that_another_line_happens_to_close_hides_none_either(tmp_path: Path) -> None:
    found = read(tmp_path, 'account,date\nacme,2026-01-01\n"globex,2026-02-01\ninitech,2026-03-01"\n')

    assert [outcome.account for outcome in found.outcomes] == ["acme"]
    assert found.problems == (
        "line 3: a quote is opened and not closed before line 4: close it, or take it out",
        "line 4: date '2026-03-01\"' is not a date: write it as 2026-03-31 (year-month-day)",
    )


def test_of_several_losses_of_one_account_the_first_counts_and_the_other_lines_are_told(tmp_path: Path) -> None:
    found = read(tmp_path, "account,date\nacme,2026-05-31\nglobex,soon\nacme,2026-03-31\n acme ,2026-03-31\n")

    assert found.outcomes == (AccountOutcome("acme", day(2026, 3, 31), "lost", ""),)
    assert found.problems == (
        "line 2: account 'acme' is on line 4 too; its first loss is there, and counts",
        "line 3: date 'soon' is not a date: write it as 2026-03-31 (year-month-day)",
        "line 5: account 'acme' is on line 4 too; its first loss is there, and counts",
    )


def test_more_wrong_lines_than_are_shown_are_counted(tmp_path: Path) -> None:
    with pytest.raises(BadOutcomesError, match=r"(?s)line 2: .*line 11: .*and 3 more") as refused:
        read(tmp_path, "account,date\n" + "acme,soon\n" * 13)

    assert "line 12" not in str(refused.value)


def test_columns_may_be_in_any_order_and_case_and_the_file_may_come_from_excel(tmp_path: Path) -> None:
    found = read(tmp_path, "\ufeffReason,Date,Account\r\nprice,2026-03-31,acme\r\n")

    assert found.outcomes == (AccountOutcome("acme", day(2026, 3, 31), "lost", "price"),)
    assert not found.problems


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no column 'account' and no column 'date'"),
        ("customer,date\nacme,2026-03-31\n", "there is no column 'account'. The first line must name the columns"),
        ("account,date\n", "it has only a header"),
        ("account,date,Date\nacme,2026-03-31,2026-05-31\n", "more than one column is named 'date': keep the right one"),
        ("account\nacme\n", "there is no column 'date'. The first line must name the columns"),
        ("account,date\nacme,soon\n", "line 2: date 'soon' is not a date"),
        (
            ("account,date\n" + "acme,2026-01-01\n" * 5_000 + "m\xfcller,2026-01-01\n").encode("latin-1"),
            "line 5002 is not UTF-8 (byte 2 of the line): save it as CSV UTF-8",
        ),
        ('"Account";"date"\n"acme";"2026-01-01"\n', "columns are divided by ';', not by commas"),
        ('"account","date"x\nacme,2026-01-01\n', "there is no column 'account'"),
        ('account,date,"reason\nacme,2026-01-01,x\n', "there is no column 'account'"),
        ("account;date\nacme;2026-01-01\n", "columns are divided by ';', not by commas"),
        ("Account\tDate\treason, if any\nacme\t2026-01-01\tx\n", "columns are divided by '\\t', not by commas"),
        ("account,date\n" + "x" * 200_000 + ",2026-01-01\n", "cannot be read"),
    ],
)
def test_a_file_that_is_of_no_use_is_refused_with_what_to_do(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(BadOutcomesError, match=".") as refused:
        read(tmp_path, text)

    assert says in str(refused.value)
    assert "lost.csv" in str(refused.value)


@pytest.mark.parametrize(
    "text", ["2026-03-311", "2026-03-31 garbage", "2026-03-31T", "20260331zz", "2026-W13-2", "2026-W13-29", "2026-0331"]
)
def test_a_date_is_read_to_its_end(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, f"account,date\nacme,2026-01-01\nglobex,{text}\n")

    assert [outcome.account for outcome in found.outcomes] == ["acme"]
    assert found.problems == (f"line 3: date '{text}' is not a date: write it as 2026-03-31 (year-month-day)",)


@pytest.mark.parametrize("text", ["2026-03-31", "20260331", "2026-03-31 00:00:00", "2026-03-31T23:30:00-08:00"])
def test_a_day_may_have_a_time_and_is_the_one_that_is_written(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f"account,date\nacme,{text}\n").outcomes[0].day == day(2026, 3, 31)
