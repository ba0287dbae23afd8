"""What a lane commits is the end of what was fetched, not of what was folded."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from services.shared.engine.errors import SourceGap
from services.shared.engine.position import Position
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import SourceMode
from tests.support.waiting import until
from tests.unit.engine.lane_host import PATIENT, SPEC, Host, chunk, running, turns

IN_TRANSACTIONS = replace(SPEC, mode=SourceMode.TRANSACTIONAL)


async def test_the_marker_behind_the_last_record_is_committed_with_it() -> None:
    host = Host()
    lane = await running(host, IN_TRANSACTIONS)

    lane.receive(chunk(0, "1", "2", end=3))
    await until(lambda: host.transactions)

    assert [d.position for d in host.transactions] == [Position(3)]
    await lane.close()


async def test_a_fetch_of_markers_alone_moves_the_position_and_costs_no_transaction_of_its_own_while_records_come() -> (
    None
):
    host = Host()
    lane = await running(host, IN_TRANSACTIONS)

    lane.receive(chunk(0, start=0, end=4))
    await until(lambda: lane.next == Position(4))
    await turns()
    assert host.transactions == []
    lane.receive(chunk(4, "1"))

    await until(lambda: host.transactions)
    assert [(d.position, d.records) for d in host.transactions] == [(Position(5), 1)]
    await lane.close()


async def test_a_position_that_only_markers_have_moved_is_committed_within_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("services.shared.engine.lane.commits.time", SimpleNamespace(monotonic=lambda: clock[0]))
    host = Host()
    lane = await running(host, IN_TRANSACTIONS)
    for end in range(1, 10):
        lane.receive(chunk(0, start=end - 1, end=end))
        clock[0] += 6.0
        await turns()
    assert host.transactions == []

    clock[0] += 13.0
    lane.receive(chunk(0, start=9, end=10))

    await until(lambda: host.transactions)
    await turns()
    assert [d.records for d in host.transactions] == [0]
    assert lane.durable >= Position(9)
    await lane.close()


async def test_holding_a_lane_commits_what_it_has_covered() -> None:
    host = Host(settings=PATIENT)
    lane = await running(host, IN_TRANSACTIONS)
    lane.receive(chunk(0, start=0, end=4))
    await until(lambda: lane.next == Position(4))

    await lane.hold()

    assert lane.durable == Position(4)
    await lane.close()


async def test_a_hole_at_the_end_of_a_chunk_of_a_contiguous_source_is_refused_at_once() -> None:
    host = Host()
    lane = await running(host)

    lane.receive(chunk(0, "1", end=4))

    await until(lambda: lane.stopped)
    assert isinstance(lane.stopped, SourceGap)
    assert (lane.stopped.expected, lane.stopped.found) == (1, 4)
    await until(lambda: host.counts() == {b"a": 1})
    await lane.close()


async def test_a_row_of_raising_records_with_markers_between_is_a_row() -> None:
    host = Host(settings=EngineSettings(transaction_ms=1, max_raises=3))
    lane = await running(host, IN_TRANSACTIONS)

    fed = None
    async with asyncio.timeout(5):
        while not lane.stopped:
            if len(host.sought) != fed:
                fed = len(host.sought)
                for n in range(0, 6, 2):
                    lane.receive(chunk(n, "raise", end=n + 2))
            await asyncio.sleep(0)

    assert lane.stopped.reason == "raises"
    await lane.close()
