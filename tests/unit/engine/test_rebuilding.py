"""A lane whose changelogs are empty is made anew from its source, if an operator says so, and writes no output twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from services.shared.engine.errors import SourceBehind, SourceGap
from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.start import Bounds, quiet_until, start
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.lane.lane import Lane
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.position import UNKNOWN_TOPIC, Position
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import AppendOrder
from tests.support.waiting import until
from tests.unit.engine.lane_host import SPEC, Host, chunk, running

APPENDS_FIRST = replace(SPEC, appends=AppendOrder.BEFORE_COMMIT)
REBUILDING = EngineSettings(transaction_ms=1, rebuild=True)


async def test_the_source_is_read_from_its_beginning_and_only_what_is_new_is_given_out() -> None:
    host = Host(settings=REBUILDING, committed=3, earliest=1)
    lane = await running(host, APPENDS_FIRST)

    lane.receive(chunk(1, "append", "append"))
    await until(lambda: host.counts() == {b"a": 2})
    assert "append" not in host.asked
    lane.receive(chunk(3, "append"))
    await until(lambda: host.counts() == {b"a": 3})

    assert host.sought == [1]
    assert host.asked.count("append") == 1
    assert host.transactions[-1].committed().quiet_until is None
    await lane.close()


async def test_what_is_appended_after_a_commit_is_appended_again() -> None:
    """It may be that nobody has: the commit was durable, and then the worker died."""
    host = Host(settings=REBUILDING, committed=3)
    lane = await running(host)

    lane.receive(chunk(0, "append", "append"))

    await until(lambda: host.asked.count("append") == 2)
    await lane.close()


async def test_a_lane_that_asks_whether_it_is_its_own_still_commits_where_its_silence_ends() -> None:
    """Otherwise whoever opens it next, before another transaction, would give everything out again."""
    host = Host(settings=REBUILDING, committed=3)
    lane = await running(host)
    lane.receive(chunk(0, "1", "1"))
    await until(lambda: host.counts() == {b"a": 2})

    await lane.hold()
    lane.doubt()
    lane.resume()
    await until(lambda: lane.ready and host.checks)
    lane.receive(chunk(2, "1", "1"))
    await until(lambda: lane.durable.offset == 4)
    await lane.hold()
    lane.doubt()
    lane.resume()
    await until(lambda: len(host.checks) == 2)

    assert [(each.position.offset, each.committed().quiet_until) for each in host.checks] == [
        (2, Position(3)),
        (4, None),
    ]
    await lane.close()


async def test_a_source_that_ends_before_the_groups_offset_is_refused() -> None:
    """What comes next at these offsets was never given out."""
    lane = await running(Host(settings=REBUILDING, committed=9, end=5))

    assert isinstance(lane.stopped, SourceBehind)
    await lane.close()


@pytest.mark.parametrize("held", [None, (Position(2), UNKNOWN_TOPIC)], ids=["deleted once more", "half rebuilt"])
def test_a_source_that_ends_before_the_end_of_the_silence_is_refused(held: tuple[Position, bytes] | None) -> None:
    bounds = Bounds(0, 8, Committed(Position(2), Position(1), quiet_until=Position(9)))

    with pytest.raises(SourceBehind):
        start("events", 0, held, bounds, rebuild=True)


@pytest.mark.parametrize("accept", [False, True])
async def test_records_that_were_deleted_before_the_lane_had_read_them_are_a_gap_in_a_rebuilt_lane_too(
    accept: bool,
) -> None:
    """The lane had come to 3: nobody has folded what was at 3 and 4."""
    host = Host(settings=REBUILDING.model_copy(update={"accept_gap": accept}), committed=3, earliest=5)
    registry = CollectorRegistry()
    lane = Lane(SPEC, 0, host, LaneMetrics(EngineMetrics(registry), "events", 0))
    lane.start()
    await until(lambda: lane.ready or lane.stopped)

    assert isinstance(lane.stopped, SourceGap) is not accept
    if accept:
        lane.receive(chunk(5, "append"))
        await until(lambda: host.asked.count("append") == 1)
        assert registry.get_sample_value("tidemark_engine_gaps_total", {"topic": "events", "partition": "0"}) == 1
    await lane.close()


def test_a_transaction_in_which_the_silence_ends_is_folded_again_in_silence_where_the_changelogs_have_not_got_it() -> (
    None
):
    """Kafka has committed it in part: what lies before the end of the silence must not be given out because of that."""
    torn = Transaction(Position(2), quiet_until=Position(5))
    torn.position = Position(7)
    committed = Committed.read(7, torn.committed().metadata)

    position = start("events", 0, (Position(2), UNKNOWN_TOPIC), Bounds(0, 9, committed))

    assert (position, quiet_until(position, Position(2), committed)) == (Position(2), Position(5))
    assert quiet_until(Position(7), Position(7), committed) is None


async def test_a_lane_that_has_its_state_goes_on_as_ever() -> None:
    host = Host(settings=REBUILDING)
    lane = await running(host)

    lane.receive(chunk(0, "append"))

    await until(lambda: host.counts() == {b"a": 1})
    assert host.asked.count("append") == 1
    await lane.close()
