"""Account facts from files become group calls; a malformed row is named and does not hold up the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.backfill.account_file import ImportedFacts
from services.backfill.account_file import read as read_facts
from services.backfill.rows import BadFile
from services.shared.plan_file import default_plan
from services.shared.tracking_plan.reading import read_plan
from services.shared.units import HOUR_MS
from tests.support.scorer import UsageLane, at

NOW_MS = 1_800_000_000_000


def read(path: Path, now_ms: int = NOW_MS) -> ImportedFacts:
    return read_facts(path, "account", now_ms, default_plan().group_traits)


def written(tmp_path: Path, text: str | bytes, name: str = "accounts.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_row_becomes_a_group_call(tmp_path: Path) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text('account,name,owner,revenue,seats,renewal_date\nacme,Acme,Nora,"12,000",20,2027-01-31\n')

    calls, problems, _ = read(path)

    assert problems == []
    assert calls[0].call["groupId"] == "acme"
    assert calls[0].call["traits"] == {
        "name": "Acme",
        "owner": "Nora",
        "revenue": 12_000.0,
        "seats": 20,
        "renewal_date": "2027-01-31",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "account,plan,seats\nacme,team,5\n"),
        ("a.yaml", "- {account: acme, plan: team, seats: 5}\n"),
        ("a.ndjson", '{"account": "acme", "plan": "team", "seats": 5}\n'),
    ],
)
def test_the_same_facts_have_the_same_id_within_one_import_whatever_the_format(
    tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    other = tmp_path / "other.ndjson"
    other.write_text('{"account": "acme", "seats": 5, "plan": "team"}\n')

    calls, *_ = read(path)

    assert calls[0].call["messageId"] == read(other)[0][0].call["messageId"]


def test_other_facts_have_another_id(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("account,seats\nacme,5\nglobex,5\n")

    calls, *_ = read(path)

    assert len({call.call["messageId"] for call in calls}) == 2


def test_all_that_is_wrong_with_a_row_is_told_at_once(tmp_path: Path) -> None:
    _, problems, _ = read(written(tmp_path, "account,seats,renewal_date,revenue\n,five,soon,7\n"))

    (told,) = problems
    assert told.startswith("line 2: column 'account' is missing or empty; column 'seats': ")
    assert "; column 'renewal_date': " in told
    assert "revenue" not in told


def test_an_id_that_yaml_takes_for_something_else_makes_no_account_of_another_name(tmp_path: Path) -> None:
    path = tmp_path / "accounts.yaml"
    path.write_text(
        "".join(f"- {{account: {given}, seats: 5}}\n" for given in ("yes", "1.10", "[a]", "2027-01-31", "7", "'1.10'"))
    )

    calls, problems, _ = read(path)

    assert [call.call["groupId"] for call in calls] == ["7", "1.10"]
    assert problems[:2] == [
        "entry 1: column 'account' is neither text nor a whole number, but True: put the id in quotes",
        "entry 2: column 'account' is neither text nor a whole number, but 1.1: put the id in quotes",
    ]
    assert [problem[:7] for problem in problems[2:]] == ["entry 3", "entry 4"]


def test_a_list_is_no_name(tmp_path: Path) -> None:
    _, problems, _ = read(written(tmp_path, "- {account: acme, name: [Acme, ACME]}\n", "accounts.yaml"))

    assert problems == ["entry 1: column 'name': ['Acme', 'ACME'] is no text"]


def test_malformed_rows_are_named_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "account,seats,renewal_date\nacme,five,\n,5,\nglobex,5,soon\ninitech,,\nhooli,5,2027-01-31\nstark,5,2027-W04-7\n"
    )

    calls, problems, _ = read(path)

    assert [call.call["groupId"] for call in calls] == ["hooli"]
    assert problems == [
        "line 2: column 'seats': 'five' is not a number",
        "line 3: column 'account' is missing or empty",
        "line 4: column 'renewal_date': 'soon' is not a date like 2027-01-31",
        "line 5: account 'initech' has no facts",
        "line 7: column 'renewal_date': '2027-W04-7' is not a date like 2027-01-31",
    ]


def test_yaml_dates_and_not_a_number_are_handled(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("- {account: a, renewal_date: 2027-01-31}\n- {account: b, revenue: .nan}\n- just text\n")

    calls, problems, _ = read(path)

    assert calls[0].call["traits"] == {"renewal_date": "2027-01-31"}
    assert len(problems) == 2


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("account: acme\n")

    with pytest.raises(BadFile, match="must be a list"):
        read(path)


def test_what_is_imported_last_holds_though_it_was_imported_before(tmp_path: Path) -> None:
    lane = UsageLane()
    right, wrong = "account,owner\nacme,ann\n", "account,owner\nacme,bob\n"

    for hour, text in enumerate((right, wrong, right), start=1):
        now_ms = at(0, hour)
        (_, call), *_ = read(written(tmp_path, text), now_ms).calls
        lane.event(
            call["messageId"],
            account=call["groupId"],
            user="",
            when=now_ms,
            kind="GROUP",
            name="",
            properties=call["traits"],
            source="cli",
        )

    assert lane.state.accounts["acme"].fact("owner") == "ann"
    assert lane.state.ledger.duplicates == 0


def test_facts_are_of_nobody_so_that_no_person_of_the_account_is_made_up(tmp_path: Path) -> None:
    (_, call), *_ = read(written(tmp_path, "account,owner\nacme,ann\n")).calls

    assert not call.keys() & {"userId", "anonymousId"}


def test_one_import_read_twice_has_the_same_ids(tmp_path: Path) -> None:
    path = written(tmp_path, "account,owner\nacme,ann\n")

    assert read(path).calls == read(path).calls
    assert read(path).calls[0].call["messageId"] != read(path, NOW_MS + HOUR_MS).calls[0].call["messageId"]


def test_a_second_row_of_an_account_is_named_and_left_out(tmp_path: Path) -> None:
    calls, problems, _ = read(written(tmp_path, "account,owner\nacme,ann\nglobex,eve\nacme,bob\n"))

    assert [(call.call["groupId"], call.call["traits"]["owner"]) for call in calls] == [
        ("acme", "ann"),
        ("globex", "eve"),
    ]
    assert problems == ["line 4: account 'acme' is in line 2 already, which was taken: keep one of them"]


@pytest.mark.parametrize("number", ["1234,50", "1.234,50", "12,5", "12,00", "1,2345", ",5"])
def test_a_decimal_comma_is_refused_with_row_and_column_and_what_to_write(tmp_path: Path, number: str) -> None:
    calls, problems, _ = read(written(tmp_path, f'account,revenue\nacme,"{number}"\n'))

    assert not calls
    said = f"line 2: column 'revenue': '{number}' is not a number with commas between thousands, as 1,234.5 is: "
    assert problems == [said + "write it with a point before the decimals and no comma"]


@pytest.mark.parametrize(
    ("number", "is_"), [("1,234.5", 1234.5), ("12,000", 12_000), ("1,000,000", 1e6), ("12.5", 12.5)]
)
def test_commas_between_thousands_are_taken(tmp_path: Path, number: str, is_: float) -> None:
    calls, *_ = read(written(tmp_path, f'account,revenue\nacme,"{number}"\n'))

    assert calls[0].call["traits"] == {"revenue": is_}


@pytest.mark.parametrize("column", ["revenue", "seats"])
def test_a_point_that_may_stand_between_thousands_is_refused(tmp_path: Path, column: str) -> None:
    calls, problems, _ = read(written(tmp_path, f"account,{column}\nacme,12.000\n"))

    assert not calls
    said = f"line 2: column '{column}': the point of '12.000' may stand between thousands or before decimals: "
    assert problems == [said + "write 12000 or 12.0000"]


@pytest.mark.parametrize(("number", "is_"), [("12.0000", 12), ("0.125", 0.125), ("1234.500", 1234.5)])
def test_a_point_that_only_stands_before_decimals_is_accepted(tmp_path: Path, number: str, is_: float) -> None:
    calls, *_ = read(written(tmp_path, f"account,revenue\nacme,{number}\n"))

    assert calls[0].call["traits"] == {"revenue": is_}


def test_a_number_of_ndjson_has_its_point_before_decimals(tmp_path: Path) -> None:
    (tmp_path / "facts.ndjson").write_text('{"account": "acme", "revenue": 12.125}\n', "utf-8")

    calls, *_ = read(tmp_path / "facts.ndjson")

    assert calls[0].call["traits"] == {"revenue": 12.125}


def test_half_a_seat_is_refused(tmp_path: Path) -> None:
    assert read(written(tmp_path, "account,seats\nacme,12.5\n")).problems == [
        "line 2: column 'seats': '12.5' is not a whole number from 0 to 100,000,000"
    ]


def test_what_the_scorer_would_refuse_is_refused_with_its_row(tmp_path: Path) -> None:
    text = "account,seats,country\na,5000000000,DE\nb,5,Germany\nc,5,de-by\nd,5,DE-XX\n"

    calls, problems, _ = read(written(tmp_path, text))

    assert [(call.call["groupId"], call.call["traits"]) for call in calls] == [("c", {"seats": 5, "country": "DE-BY"})]
    assert [problem.partition(":")[0] for problem in problems] == ["line 2", "line 3", "line 5"]
    assert "'Germany' is no ISO 3166 code of a country such as DE" in problems[1]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1969-12-31"])
def test_a_date_that_stands_for_none_in_other_systems_is_told_and_not_lost_later(tmp_path: Path, day: str) -> None:
    rows = f"account,seats,renewal_date\na,5,{day}\nb,5,2199-12-31\n"

    calls, problems, _ = read(written(tmp_path, rows))

    assert [call.call["groupId"] for call in calls] == ["b"]
    assert problems == [
        f"line 2: column 'renewal_date': '{day}' is not from 1970 to 2199: leave it empty if there is no such date"
    ]


def test_text_that_the_scorer_would_leave_out_is_told(tmp_path: Path) -> None:
    rows = f"- {{account: a, name: {'n' * 501}}}\n- {{account: b, plan: yes}}\n- {{account: c, name: {'n' * 500}}}\n"

    calls, problems, _ = read(written(tmp_path, rows, "accounts.yaml"))

    assert [call.call["groupId"] for call in calls] == ["c"]
    assert problems == [
        f"entry 1: column 'name': it has more than 500 characters, beginning with '{'n' * 40}'",
        "entry 2: column 'plan': YAML takes the value for true: put it in quotes",
    ]


def test_blanks_are_no_fact(tmp_path: Path) -> None:
    calls, problems, _ = read(written(tmp_path, "account,name,seats,renewal_date\na, ,5,  \n"))

    assert (problems, [call.call["traits"] for call in calls]) == ([], [{"seats": 5}])


def test_a_table_without_the_column_of_accounts_is_refused_once(tmp_path: Path) -> None:
    with pytest.raises(BadFile) as refused:
        read(written(tmp_path, "id,name\n1,Acme\n2,Globex\n"))

    assert str(refused.value) == "accounts.csv has no column 'account'; it has id, name. Name it with --account"


def test_a_misspelt_column_is_named_with_what_was_likely_meant_and_is_not_sent(tmp_path: Path) -> None:
    calls, problems, undeclared = read(written(tmp_path, "account,revenu,seats,industry\nacme,12,10,steel\n"))

    assert calls[0].call["traits"] == {"seats": 10}
    assert problems == [
        "column 'revenu': the tracking plan declares no such trait of accounts; write 'revenue' if that is meant"
    ]
    assert undeclared == ["industry"]


def test_the_tracking_plan_says_which_columns_there_are_and_of_what_type(tmp_path: Path) -> None:
    plan = read_plan(
        {"group_traits": {"Licences": {"type": "whole_number", "means": "facts.seats"}, "tier": {"type": "text"}}}
    )
    path = written(tmp_path, 'account,licences,tier,owner\nacme,"1,200",gold,ann\n')

    calls, problems, undeclared = read_facts(path, "account", NOW_MS, plan.group_traits)

    assert calls[0].call["traits"] == {"licences": 1200, "tier": "gold"}
    assert (problems, undeclared) == ([], ["owner"])


def test_a_file_from_excel_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    calls, *_ = read(written(tmp_path, "\ufeffaccount,owner\nMüller,ann\n"))

    assert calls[0].call["groupId"] == "Müller"


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", "account,owner\nMüller,ann\nMöller,bob\n"), ("a.yaml", "# list\n- {account: Müller, owner: ann}\n")],
)
def test_a_file_that_is_not_utf8_is_refused_with_the_place(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(BadFile, match=rf"{name}: line 2 is not UTF-8 \(byte \d+ of the line\): save it as UTF-8"):
        read(written(tmp_path, text.encode("latin-1"), name))


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_marks_than_commas_are_told(tmp_path: Path, mark: str) -> None:
    with pytest.raises(BadFile) as refused:
        read(written(tmp_path, f"account{mark}name, short\nacme{mark}Acme\n"))

    assert f"columns are divided by {mark!r}, not by commas" in str(refused.value)
