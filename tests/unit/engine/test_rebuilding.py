"""A lane whose changelogs are empty is made anew from its source, if an operator says so, and writes no output twice."""

from __future__ import annotations

from dataclasses import replace

from services.shared.engine.errors import SourceBehind
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


async def test_a_source_that_ends_before_the_groups_offset_is_refused() -> None:
    """What comes next at these offsets was never given out."""
    lane = await running(Host(settings=REBUILDING, committed=9, end=5))

    assert isinstance(lane.stopped, SourceBehind)
    await lane.close()


async def test_a_lane_that_has_its_state_goes_on_as_ever() -> None:
    host = Host(settings=REBUILDING)
    lane = await running(host)

    lane.receive(chunk(0, "append"))

    await until(lambda: host.counts() == {b"a": 1})
    assert host.asked.count("append") == 1
    await lane.close()
