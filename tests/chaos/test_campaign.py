"""The table of `make chaos` says what was measured, and its faults are found by their names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from services.backfill.mapping import TimedCall
from services.shared.units import DAY_MS
from tests.chaos import table
from tests.chaos.checks import Findings, expected
from tests.chaos.clients import Load, Sent
from tests.chaos.fault import Row
from tests.chaos.replay import beyond
from tests.chaos.run import KINDS, all_faults, chosen
from tests.chaos.volumes import Volumes

NOBODY = ("account-health", b"nobody")


def row(**changes: Any) -> Row:
    """A row of a fault that went as promised, with changes."""
    return Row("kill-x", "x", **({"recovered_s": 1.0, "bound_s": 60.0, "events": 10, "replayed": True} | changes))


def call(message: str, **changes: Any) -> TimedCall:
    """A call of one person on day 100."""
    made = {"messageId": message, "type": "track", "event": "Opened", "userId": "u", "context": {"groupId": "a"}}
    return TimedCall(100 * DAY_MS + 5, made | changes)


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"impossible": "no disk"}, True),
        ({"lost": {"log": 1}}, False),
        ({"doubled": {"state": 1}}, False),
        ({"replay_differs": ["account-health of a"]}, False),
        ({"problems": ["the ledger does not close"]}, False),
        ({"recovered_s": None}, False),
    ],
)
def test_one_thing_that_is_wrong_fails_a_row(changes: dict[str, Any], good: bool) -> None:
    assert row(**changes).good is good


def test_a_row_that_was_never_measured_is_not_good() -> None:
    assert not Row("x", "x").good


def test_findings_without_fault_are_clean() -> None:
    assert Findings().clean
    assert not Findings(differs=["x"]).clean


def test_cells_say_what_was_measured() -> None:
    measured = row(
        statuses={"200": 1200, "429": 3}, without_ok_s=4.25, lost={"log": 2}, replay_differs=["a"], recovered_s=None
    )

    assert table.cells(measured) == (
        "x", "1,200 × 200, 3 × 429; 4.2 s without a 200", "2 in the log", "0", "1 keys differ", "not in 60 s", "FAILED",
    )  # fmt: skip


def test_what_cannot_be_done_here_says_why() -> None:
    assert table.cells(row(impossible="no root"))[-1] == "not possible here: no root"


def test_a_replay_that_was_not_compared_is_not_called_identical() -> None:
    assert table.cells(row(replayed=False))[4] == "not compared"


def test_outputs_that_end_early_are_not_the_first_of_themselves() -> None:
    assert beyond({NOBODY: [b"1", b"2"]}, {NOBODY: [b"1"]}) == []
    assert beyond({NOBODY: [b"1"]}, {NOBODY: [b"1", b"2"]}) == ["account-health of nobody"]
    assert beyond({NOBODY: [b"1", b"3"]}, {NOBODY: [b"1", b"2"]}) == ["account-health of nobody"]
    assert beyond({}, {NOBODY: [b"1"]}) == ["account-health of nobody"]


def test_activity_is_counted_by_account_and_day_and_people_once() -> None:
    calls = [call("1"), call("2"), call("3", userId="v"), call("4", event="NPS Submitted"), call("5", type="identify")]

    assert expected(calls) == {"a": {100: (3, 2)}}


async def test_traffic_that_flows_is_not_started_again_as_only_one_flow_would_be_ended() -> None:
    async with Load(["http://127.0.0.1:9"], Sent(), 1.0) as load:
        load.go()
        with pytest.raises(RuntimeError, match="the traffic flows already"):
            load.go()


def test_faults_have_names_of_their_own_and_are_found_by_their_beginnings() -> None:
    names = [fault.name for fault in all_faults()]

    assert len(set(names)) == len(names)
    assert [fault.name for fault in chosen("kill-ingest,past")] == ["kill-ingest-1", "kill-ingest-2", "past"]
    with pytest.raises(SystemExit, match="there is no fault burn"):
        chosen("kill,burn")


def test_every_file_of_faults_is_part_of_the_campaign(project_root: Path) -> None:
    files = {path.stem for path in (project_root / "tests/chaos/faults").glob("*.py")}

    assert files == set(KINDS)


def test_every_fault_is_described(project_root: Path) -> None:
    page = (project_root / "docs/chaos.md").read_text("utf-8")
    described = [name.rstrip("…") for name in re.findall(r"^\| `([a-z…-]+)` \|", page, re.MULTILINE)]

    assert all(any(fault.name.startswith(name) for name in described) for fault in all_faults())
    assert all(any(fault.name.startswith(name) for fault in all_faults()) for name in described)


def test_a_volume_that_is_filled_is_full_and_has_room_again(tmp_path: Path) -> None:
    volumes = Volumes(tmp_path)
    volumes.make(["disk"])
    try:
        if volumes.why_not:
            pytest.skip(volumes.why_not)
        volumes.fill("disk")
        with pytest.raises(OSError, match="No space left on device"):
            (tmp_path / "disk" / "file").write_bytes(b"x" * 10_000)
        volumes.free("disk")
        (tmp_path / "disk" / "file").write_bytes(b"x" * 10_000)
    finally:
        volumes.remove()
