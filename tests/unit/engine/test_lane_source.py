"""A source that lacks what a lane is to read next: records that are gone, or got lost on the way."""

from __future__ import annotations

from dataclasses import replace

from services.shared.engine.errors import SourceBehind, SourceGap
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import SourceMode
from tests.support.waiting import until
from tests.unit.engine.lane_host import PATIENT, SPEC, Host, chunk, running


async def test_a_source_that_ends_before_the_position_is_refused() -> None:
    host = Host(end=4)
    host.log.append("state", POSITION_KEY, Position(5).encode(), 0)

    assert isinstance((await running(host)).stopped, SourceBehind)


async def test_a_source_whose_next_records_are_gone_is_refused_at_opening() -> None:
    host = Host(earliest=9)
    host.log.append("state", POSITION_KEY, Position(5).encode(), 0)

    lane = await running(host)

    assert isinstance(lane.stopped, SourceGap)
    assert (lane.stopped.expected, lane.stopped.found) == (5, 9)
    assert "TIDEMARK_ENGINE_ACCEPT_GAP" in str(lane.stopped)


async def test_a_gap_at_opening_is_passed_over_where_an_operator_says_so() -> None:
    host = Host(settings=EngineSettings(transaction_ms=1, accept_gap=True), earliest=9)
    host.log.append("state", POSITION_KEY, Position(5, 3).encode(), 0)

    assert (await running(host)).next == Position(9, 0)


async def test_a_gap_that_was_accepted_at_opening_is_durable_though_no_record_comes() -> None:
    host = Host(settings=EngineSettings(transaction_ms=1, accept_gap=True), earliest=9)
    host.log.append("state", POSITION_KEY, Position(5, 3).encode(), 0)
    lane = await running(host)

    await until(lambda: lane.durable == Position(9, 0))

    await lane.close()
    again = Host(log=host.log, earliest=9)
    assert (await running(again)).stopped is None


async def test_a_gap_that_was_accepted_while_the_lane_runs_is_durable_though_no_record_comes() -> None:
    host = Host(settings=EngineSettings(transaction_ms=1, accept_gap=True))
    lane = await running(host)
    host.earliest = 5

    lane.compare()

    await until(lambda: lane.durable == Position(5))
    assert host.sought == [5]
    await lane.close()


async def test_a_chunk_that_got_lost_on_the_way_is_read_again() -> None:
    host = Host()
    lane = await running(host)
    lane.receive(chunk(0, "1"))

    lane.receive(chunk(5, "6"))
    await until(lambda: host.sought == [1])
    lane.receive(chunk(1, "2", "3", "4", "5", "6"))

    await until(lambda: host.counts() == {b"a": 6})


async def test_a_lost_chunk_of_a_transactional_source_is_read_again_too() -> None:
    host = Host()
    lane = await running(host, replace(SPEC, mode=SourceMode.TRANSACTIONAL))
    lane.receive(chunk(0, "1", end=3))

    lane.receive(chunk(7, "6", start=4, end=8))  # one place is missing: it may have been a record

    await until(lambda: host.sought == [3])
    assert not lane.stopped


async def test_records_lost_by_retention_while_the_lane_runs_stop_it_with_the_rest_durable() -> None:
    host = Host(settings=PATIENT)
    lane = await running(host)
    lane.receive(chunk(0, "1", "2"))
    await until(lambda: lane.next.offset == 2)
    host.earliest = 5

    lane.receive(chunk(5, "6"))

    await until(lambda: lane.stopped)
    assert isinstance(lane.stopped, SourceGap)
    await until(lambda: host.counts() == {b"a": 2})


async def test_a_hole_in_a_contiguous_source_is_refused() -> None:
    host = Host()
    lane = await running(host)

    lane.receive(chunk(0, "1", end=4))
    lane.receive(chunk(4, "5"))
    lane.receive(chunk(7, "8", start=5, end=8))

    await until(lambda: lane.stopped)
    assert isinstance(lane.stopped, SourceGap)
    assert (lane.stopped.expected, lane.stopped.found) == (1, 4)
    await until(lambda: host.counts() == {b"a": 1})


async def test_a_hole_in_a_transactional_source_is_nothing() -> None:
    host = Host()
    lane = await running(host, replace(SPEC, mode=SourceMode.TRANSACTIONAL))

    lane.receive(chunk(1, "1", start=0, end=4))
    lane.receive(chunk(7, "8", start=4, end=9))

    await until(lambda: host.counts() == {b"a": 2})
    assert lane.next == Position(9)


async def test_a_lane_whose_source_is_damaged_folds_what_was_delivered_before_it_stops() -> None:
    host = Host(settings=PATIENT)
    lane = await running(host)

    lane.receive(chunk(0, "1", "2"))
    lane.source_damaged("Invalid CRC")

    await until(lambda: lane.stopped)
    assert lane.durable == Position(2)
    assert host.counts() == {b"a": 2}
    assert host.failed == []
