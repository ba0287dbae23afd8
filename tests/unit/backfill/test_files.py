"""Files of events are read in time order within bounded memory, and what is wrong with them is said first."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from services.backfill.files import in_time_order, survey
from services.backfill.mapping import Mapping, TimedCall
from services.backfill.rows import BadFile, ChangedFile
from services.backfill.times import TimeFormat
from services.shared.tracking_plan.state_values import PlannedAbsence, planned_absence
from services.shared.units import DAY_MS
from tests.support.backfills import COMMITS, NOW_MS


@pytest.fixture
def commits(tmp_path: Path) -> Path:
    path = tmp_path / "commits.csv"
    path.write_text("ts,repo,acct,user\n1276191547,nova,a1,u1\n1276206224,nova,a2,u2\n1276216901,swift,a1,u3\n")
    return path


def test_a_row_becomes_a_track_call_with_an_id_of_file_and_row(commits: Path) -> None:
    source = survey(commits, COMMITS, "git", NOW_MS)

    at_ms, call = next(source.events())

    assert at_ms == 1_276_191_547_000
    assert call == {
        "type": "track",
        "messageId": f"{source.sha256[:20]}-1",
        "event": "Commit",
        "timestamp": "2010-06-10T17:39:07.000Z",
        "context": {"groupId": "a1"},
        "properties": {"repo": "nova"},
        "userId": "u1",
    }


def test_two_readings_give_the_same_calls(commits: Path) -> None:
    source = survey(commits, COMMITS, "git", NOW_MS)

    assert list(source.events()) == list(source.events())
    assert (source.total, source.first_ms, source.last_ms) == (3, 1_276_191_547_000, 1_276_216_901_000)


def test_packing_a_file_does_not_change_who_it_is(commits: Path, tmp_path: Path) -> None:
    packed = tmp_path / "commits.csv.gz"
    packed.write_bytes(gzip.compress(commits.read_bytes()))

    assert survey(packed, COMMITS, "git", NOW_MS).sha256 == survey(commits, COMMITS, "git", NOW_MS).sha256


def test_another_mapping_or_source_makes_it_another_file(commits: Path) -> None:
    other = Mapping(account="acct", user="repo", time="ts", time_format=TimeFormat.SECONDS)

    identities = {
        survey(commits, COMMITS, "git", NOW_MS).sha256,
        survey(commits, COMMITS, "svn", NOW_MS).sha256,
        survey(commits, other, "git", NOW_MS).sha256,
    }

    assert len(identities) == 3


def test_rows_slightly_out_of_order_are_sorted_and_equal_times_keep_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("acct,user,ts\na,1,30\na,2,10\na,3,20\na,4,20\n")

    calls = list(survey(path, COMMITS, "s", NOW_MS).events())

    assert [call.call["userId"] for call in calls] == ["2", "3", "4", "1"]


def test_a_row_too_far_out_of_order_is_named_with_what_to_do() -> None:
    late = [(number, TimedCall(at_ms, {})) for number, at_ms in enumerate([10, 20, 30, 5], start=1)]

    with pytest.raises(BadFile, match=r"line 4 .* sort the file"):
        list(in_time_order(late, window=2))


def test_all_malformed_rows_are_named_before_anything_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("acct,user,ts\na,1,30\n,2,40\na,3,yesterday\na,4,50,surplus\na,,60\n")

    with pytest.raises(BadFile) as caught:
        survey(path, COMMITS, "s", NOW_MS)

    message = str(caught.value)
    assert "4 rows are malformed" in message
    assert "line 3: column 'acct' is empty" in message
    assert "line 4: column 'ts': 'yesterday' is not a time in seconds" in message
    assert "line 5: it has more cells" in message
    assert "line 6: column 'user' is empty" in message


def test_all_that_is_wrong_with_a_row_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("acct,user,ts\n,,yesterday\na,1,30\n")

    with pytest.raises(BadFile) as caught:
        survey(path, COMMITS, "s", NOW_MS)

    (told,) = [line.strip() for line in str(caught.value).splitlines() if "line 2" in line]
    assert "column 'ts': 'yesterday' is not a time in seconds" in told
    assert told.endswith("; column 'acct' is empty; column 'user' is empty")


def test_malformed_rows_can_be_left_out_and_the_ids_of_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("acct,user,ts\n,1,30\na,2,40\n")

    source = survey(path, COMMITS, "s", NOW_MS, skip_bad_rows=True)

    assert source.skipped == 1
    assert [call.call["messageId"] for call in source.events()] == [f"{source.sha256[:20]}-2"]


def test_a_file_of_malformed_rows_alone_says_what_is_wrong_with_the_first_ones(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("acct,user,ts\n" + ",1,30\n" * 40)

    with pytest.raises(BadFile) as caught:
        survey(path, COMMITS, "s", NOW_MS, skip_bad_rows=True)

    message = str(caught.value)
    assert "all 40 rows are malformed, so none of it was taken" in message
    assert "line 11: column 'acct' is empty\n  and 30 more" in message
    assert "line 12" not in message and "--skip-bad-rows" not in message


def test_rows_that_cannot_be_sent_are_found_before_anything_is(tmp_path: Path) -> None:
    row = {"acct": "a", "user": "u", "ts": 30}
    rows = [{**row, "note": "cut \ud83d"}, {**row, "note": "x" * 3_100_000}, {**row, "type": ["page"]}, row]
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(json.dumps(each) for each in rows))

    with pytest.raises(BadFile) as caught:
        survey(path, COMMITS, "s", NOW_MS)

    message = str(caught.value)
    assert "2 rows are malformed, so none of it was taken" in message
    assert "line 1: half of a surrogate pair, '\\ud83d', is no text" in message
    assert "line 2: it has 3,100," in message and "ingest takes events of up to 32 KB" in message
    assert [call.at_ms for call in survey(path, COMMITS, "s", NOW_MS, skip_bad_rows=True).events()] == [30_000] * 2


def test_a_table_has_no_calls_in_segment_format_whatever_its_column_of_types_says(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("acct,user,ts,type\na,u,30,page\n")

    (call,) = survey(path, COMMITS, "s", NOW_MS).events()

    assert (call.call["type"], call.call["properties"]) == ("track", {"type": "page"})


def test_a_damaged_packed_file_is_refused(commits: Path, tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(commits.read_bytes(), mtime=0))
    path = tmp_path / "commits.csv.gz"
    for place in range(10, len(packed) - 8):
        damaged = bytearray(packed)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(BadFile, match="cannot be read"):
            survey(path, COMMITS, "s", NOW_MS)


def test_a_file_that_seems_to_lie_in_the_future_is_refused_with_the_likely_reason(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("acct,user,ts\na,1,2000000000\n")

    with pytest.raises(BadFile, match="in the future"):
        survey(path, COMMITS, "s", NOW_MS)


def test_the_documented_file_of_absences_is_taken_and_plans_one(project_root: Path, tmp_path: Path) -> None:
    page = (project_root / "docs/backfill.md").read_text("utf-8")
    path = tmp_path / "absences.csv"
    path.write_text(page.split("```csv\n", 1)[1].split("```", 1)[0], "utf-8")

    (call,) = survey(path, Mapping(event_name="Planned Absence"), "s", NOW_MS).events()

    assert isinstance(planned_absence(call.call["properties"], has_user=True, today=NOW_MS // DAY_MS), PlannedAbsence)


def test_single_rows_of_the_future_are_named_and_can_be_left_out(tmp_path: Path) -> None:
    """One wrong clock among millions of rows is no reason to send none of them."""
    path = tmp_path / "events.csv"
    path.write_text("acct,user,ts\na,1,1700000000\na,2,2000000000\na,3,1700000001\n")

    with pytest.raises(BadFile) as refused:
        survey(path, COMMITS, "s", NOW_MS)
    source = survey(path, COMMITS, "s", NOW_MS, skip_bad_rows=True)

    assert "line 3: column 'ts': 2033-05-18T03:33:20Z lies in the future" in str(refused.value)
    assert (source.total, source.skipped, source.last_ms) == (2, 1, 1_700_000_001_000)
    assert [call.call["userId"] for call in source.events()] == ["1", "3"]


def test_a_file_that_is_written_to_after_it_was_checked_is_not_sent(commits: Path) -> None:
    """The ids of its rows are made of what it was: another row would have the id of one that it replaced."""
    os.utime(commits, (1, 1))  # else both may be written within one tick of the file system's clock
    source = survey(commits, COMMITS, "s", NOW_MS)
    commits.write_text(commits.read_text().replace("a1", "b1"))

    with pytest.raises(ChangedFile, match="was written to since it was checked"):
        next(source.events())


def test_a_file_that_is_replaced_while_it_is_sent_is_told(commits: Path) -> None:
    source = survey(commits, COMMITS, "s", NOW_MS)
    calls = source.events()
    next(calls)
    other = commits.with_name("other.csv")
    other.write_text(commits.read_text().replace("a2", "b2"))
    other.replace(commits)

    with pytest.raises(ChangedFile, match="was written to since it was checked"):
        list(calls)


def test_a_file_whose_name_is_no_text_has_one_that_records_can_hold(commits: Path) -> None:
    """As names from machines that wrote Latin-1 are."""
    other = commits.with_name(os.fsdecode(b"caf\xe9.csv"))
    commits.rename(other)

    assert survey(other, COMMITS, "s", NOW_MS).name == "caf\\udce9.csv"


def test_a_long_check_says_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("acct,user,ts\n" + "a,1,1700000000\n" * 25_000)
    told: list[int] = []

    survey(path, COMMITS, "s", NOW_MS, told=told.append)

    assert told == [10_000, 20_000]


def test_calls_in_segment_format_pass_with_their_own_ids(tmp_path: Path) -> None:
    call = {"type": "page", "userId": "u", "messageId": "m1", "name": "Home", "timestamp": "2026-01-02T03:04:05Z"}
    path = tmp_path / "calls.ndjson"
    path.write_text(json.dumps(call) + "\n\nnot json\n" + json.dumps({**call, "messageId": None}) + "\n")

    source = survey(path, Mapping(), "s", NOW_MS, skip_bad_rows=True)

    assert [each.call["messageId"] for each in source.events()] == ["m1", f"{source.sha256[:20]}-4"]
    assert source.skipped == 1
