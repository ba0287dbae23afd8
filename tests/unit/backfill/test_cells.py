"""What the cells and headers of a file say is read as it was meant, or told, with its row, before anything is sent."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from services.backfill.files import survey
from services.backfill.mapping import Mapping
from services.backfill.rows import BadFile
from services.backfill.times import TimeFormat
from tests.support.backfills import COMMITS, NOW_MS


@pytest.mark.parametrize(
    ("text", "written", "expected"),
    [
        ("1276191547", TimeFormat.SECONDS, 1_276_191_547_000),
        ("1276191547.25", TimeFormat.SECONDS, 1_276_191_547_250),
        ("1276191547000", TimeFormat.MILLISECONDS, 1_276_191_547_000),
        ("14770", TimeFormat.DAYS, 1_276_128_000_000),
        ("2010-06-10T17:39:07Z", TimeFormat.ISO, 1_276_191_547_000),
        ("2010-06-10 19:39:07+02:00", TimeFormat.ISO, 1_276_191_547_000),
        ("2010-06-10", TimeFormat.ISO, 1_276_128_000_000),
        ("2010-06-10T23:59:59.9996Z", TimeFormat.ISO, 1_276_214_399_999),
    ],
)
def test_times_are_read_in_each_format(tmp_path: Path, text: str, written: TimeFormat, expected: int) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"account,user,timestamp\na,u,{text}\n")

    source = survey(path, Mapping(time_format=written), "s", NOW_MS)

    assert source.first_ms == expected


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('{"acct": ["a"], "user": "u", "ts": 30}', "column 'acct': \"\\['a'\\]\" is no text and no whole number"),
        ('{"acct": "a", "user": true, "ts": 30}', "column 'user': 'True' is no text"),
        ('{"acct": 7.0, "user": "u", "ts": 30}', "column 'acct': '7.0' is no text"),
        ('{"acct": "a", "user": "u", "ts": 30, "score": NaN}', "NaN is not a finite number"),
        ('{"acct": "a", "user": "u", "ts": 30, "score": -1e999}', "-1e999 is not a finite number"),
    ],
)
def test_values_that_would_be_sent_as_others_are_told(tmp_path: Path, row: str, told: str) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text(row)

    with pytest.raises(BadFile, match=f"line 1: {told}"):
        survey(path, COMMITS, "s", NOW_MS)


def test_ids_and_times_may_be_numbers(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text('{"acct": 7, "user": 8, "ts": 30.5}')

    [(at_ms, call)] = survey(path, COMMITS, "s", NOW_MS).events()

    assert (at_ms, call["context"], call["userId"]) == (30_500, {"groupId": "7"}, "8")


@pytest.mark.parametrize("text", ["1.701e+09", "1.27619e+09", "1276191547.-5"])
def test_seconds_in_another_notation_are_no_time_shortly_after_1970(tmp_path: Path, text: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"acct,user,ts\na,u,{text}\n")

    with pytest.raises(BadFile, match="is not a time in seconds"):
        survey(path, COMMITS, "s", NOW_MS)


def test_a_file_that_is_not_utf8_is_refused_with_the_place_so_that_no_two_accounts_become_one(tmp_path: Path) -> None:
    path = tmp_path / "events.csv.gz"
    rows = "acct,user,ts\n" + "a,u,30\n" * 5_000 + "M\xfcller,u,40\nM\xf6ller,u,40\n"
    path.write_bytes(gzip.compress(rows.encode("latin-1")))

    with pytest.raises(
        BadFile, match=r"events\.csv\.gz: line 5002 is not UTF-8 \(byte 2 of the line\): save it as UTF-8"
    ):
        survey(path, COMMITS, "s", NOW_MS, skip_bad_rows=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", "acct,user,ts\nMüller,u,30\n"), ("a.ndjson", '{"acct": "Müller", "user": "u", "ts": 30}\n')],
)
def test_a_byte_order_mark_belongs_to_no_column(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())

    (_, call), *_ = survey(path, COMMITS, "s", NOW_MS).events()

    assert call["context"] == {"groupId": "Müller"}


@pytest.mark.parametrize(
    ("header", "mark"),
    [("acct;user;ts", ";"), ("acct\tuser\tts", "\t"), ('"acct";"ts";"name, short"', ";"), ("sep=;", ";")],
)
def test_columns_that_are_not_divided_by_commas_are_told(tmp_path: Path, header: str, mark: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"{header}\na;u;30\n")

    with pytest.raises(BadFile) as refused:
        survey(path, COMMITS, "s", NOW_MS)

    assert f"events.csv: columns are divided by {mark!r}, not by commas" in str(refused.value)


def test_two_columns_of_one_name_are_told_and_columns_without_one_are_not(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("acct,user,ts,ts,,\na,u,30,60,,\n")

    with pytest.raises(BadFile, match=r"events\.csv: more than one column is named 'ts': keep the right one"):
        survey(path, COMMITS, "s", NOW_MS)

    path.write_text("acct,user,ts,,\na,u,30,,\n")
    assert survey(path, COMMITS, "s", NOW_MS).total == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('acct,user,ts\n"a,u,30\n' + "a,u,30\n" * 30_000, 2),
        ('acct,user,ts,note\na,u,30,"x"\nb,u,40,"oops\nc,u,50,y\n', 3),
        ('acct,user,"ts\n' + "a,u,30\n" * 30_000, 1),
    ],
    ids=["in a long file", "in a short file", "in the header"],
)
def test_a_quote_that_is_never_closed_is_told_and_takes_no_rows_for_its_cell(
    tmp_path: Path, text: str, line: int
) -> None:
    path = tmp_path / "events.csv"
    path.write_text(text)

    with pytest.raises(BadFile, match=rf"line {line}: .*is a quote opened and not closed"):
        survey(path, COMMITS, "s", NOW_MS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00\x08\xff", "it is a workbook or a ZIP archive: save the table as CSV UTF-8"),
        (b"\x28\xb5\x2f\xfd\x04\x88", "it is packed with zstd: unpack it, or pack it with gzip"),
        ("account,timestamp\n".encode("utf-16"), "it is UTF-16: save it as UTF-8"),
        (gzip.compress("account,timestamp\n".encode("utf-16-be")[:-1] + b"\xff", mtime=0), "line 1 is not UTF-8"),
    ],
)
def test_a_file_that_is_no_text_is_called_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "events.csv"
    file.write_bytes(content)

    with pytest.raises(BadFile, match=rf"events\.csv: {said}"):
        survey(file, COMMITS, "backfill", NOW_MS)


def test_an_empty_cell_of_a_table_is_no_property_and_changes_no_id(tmp_path: Path) -> None:
    """It would be sent as the text "", which breaks a plan that wants a number there if anything."""
    row = {"account": "a", "user": "u", "timestamp": "2025-01-01", "plan": "", "seats": " ", "note": "x", "short": None}

    at_ms, call = Mapping().call(row, "file-", 7, table=True)
    line = Mapping().call(row, "file-", 7)

    assert call["properties"] == {"note": "x"}
    assert line.call["properties"] == {"plan": "", "seats": " ", "note": "x"}
    assert (at_ms, call["messageId"]) == (line.at_ms, line.call["messageId"]) == (1_735_689_600_000, "file-7")
