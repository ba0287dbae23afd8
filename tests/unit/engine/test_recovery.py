"""How a lane comes to its position: whom it fences and when, where it reads from, and what it refuses."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.shared.engine.errors import (
    ChangelogRecreated,
    NotThisVersion,
    SourceRecreated,
    UnreadableState,
)
from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.start import Bounds, start
from services.shared.engine.lane.lane import Lane
from services.shared.engine.lane.states import LanePhase
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.worker.lanes import Lanes
from tests.support.waiting import until
from tests.unit.engine.lane_host import SPEC, Host, chunk, new_lane, new_lanes, running, turns

ONE, OTHER = b"1" * 16, b"2" * 16


def committed(state_ids: str) -> Committed:
    return Committed(Position(7), Position(3), state_ids)


# where it reads from


async def test_a_lane_whose_group_has_no_offset_any_more_seeks_its_position() -> None:
    host = Host()
    host.log.append("state", POSITION_KEY, Position(1_000_000).encode(), 0)

    lane = await running(host)

    assert host.sought == [1_000_000]
    await lane.close()


async def test_a_lane_seeks_nothing_where_its_group_stands_or_the_log_begins() -> None:
    there = Host(committed=7)
    there.log.append("state", POSITION_KEY, Position(7).encode(), 0)
    fresh = Host(earliest=5)

    lanes = [await running(there), await running(fresh)]

    assert (there.sought, fresh.sought) == ([], [])
    for lane in lanes:
        await lane.close()


@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param(Bounds(0, 9, committed("counts=01"), ONE, "counts=01"), id="the same"),
        pytest.param(Bounds(0, 9, None, ONE, "counts=02"), id="restored, and the offsets deleted"),
        pytest.param(Bounds(0, 9, committed(""), ONE, "counts=02"), id="committed by the release before"),
        pytest.param(Bounds(0, 9, committed("counts=01"), ONE, ""), id="a cluster that does not tell"),
        pytest.param(
            Bounds(0, 9, committed("counts=01"), ONE, "counts=01 links=02"), id="a store more than the release before"
        ),
    ],
)
def test_changelogs_are_believed_unless_the_group_committed_with_others(bounds: Bounds) -> None:
    held = Position(7), ONE

    assert start("events", 0, held, bounds) == Position(7)
    with pytest.raises(ChangelogRecreated):
        start("events", 0, held, Bounds(0, 9, committed("counts=01"), ONE, "counts=02"))


async def test_chunks_that_came_meanwhile_and_reach_the_position_are_used_without_a_seek() -> None:
    host = Host()
    host.log.append("state", POSITION_KEY, Position(3).encode(), 0)
    host.may_load.clear()
    lane = new_lane(host)
    lane.start()
    lane.receive(chunk(2, "2", "3"))

    host.may_load.set()

    await until(lambda: host.counts() == {b"a": 1})
    assert host.sought == []
    await lane.close()


# whom it fences


async def revoked_before_its_turn() -> tuple[Host, Lane]:
    """Return a lane that was revoked before it did anything, and could do it now."""
    host = Host()
    lane = new_lane(host)
    lane.start()
    await lane.hold()
    await turns()
    return host, lane


async def test_an_opening_lane_that_was_revoked_fences_nobody_until_it_is_assigned_again() -> None:
    host, lane = await revoked_before_its_turn()
    assert "fence" not in host.asked

    lane.resume()

    await until(lambda: lane.ready)
    assert host.asked == ["fence", "load"]
    await lane.close()


async def test_a_revoked_lane_that_is_lost_has_fenced_nobody() -> None:
    host, lane = await revoked_before_its_turn()

    await lane.close()

    assert "fence" not in host.asked


class SlowToFence(Host):
    """Its writers take until they are told to start."""

    def __init__(self) -> None:
        super().__init__()
        self.may_fence = asyncio.Event()

    def writer(self, spec: Any, partition: int) -> Any:
        writer, host = super().writer(spec, partition), self

        class Slow:
            async def start(self) -> None:
                host.asked.append("asked to fence")
                await host.may_fence.wait()
                await writer.start()

            write, close = writer.write, writer.close

        return Slow()


async def fencing() -> tuple[SlowToFence, Lane]:
    """Return a lane whose writer is just starting."""
    host = SlowToFence()
    lane = new_lane(host)
    lane.start()
    await until(lambda: "asked to fence" in host.asked)
    return host, lane


async def test_a_rebalance_waits_for_a_writer_that_is_just_starting() -> None:
    host, lane = await fencing()

    holding = asyncio.create_task(lane.hold())
    await turns()
    assert not holding.done()
    host.may_fence.set()
    await holding

    assert host.asked[:2] == ["asked to fence", "fence"]
    await lane.close()


async def test_a_writer_that_does_not_start_is_given_up_for_a_rebalance_and_started_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.shared.engine.lane.ownership._FENCE_WITHIN_S", 0.01)
    host, lane = await fencing()

    async with asyncio.timeout(1):
        await lane.hold()
    host.may_fence.set()
    await turns()
    assert "fence" not in host.asked
    lane.resume()

    await until(lambda: lane.ready)
    await lane.close()


# what it refuses


async def test_a_source_of_another_id_is_refused_at_opening() -> None:
    host = Host(topic_id=OTHER)
    host.log.append("state", POSITION_KEY, Position(5).encode(ONE), 0)

    lane = await running(host)

    assert isinstance(lane.stopped, SourceRecreated)
    assert "delete the changelogs" in str(lane.stopped)
    await lane.close()


async def test_the_id_of_the_source_is_kept_with_the_position_and_an_unknown_one_is_believed() -> None:
    host = Host(topic_id=ONE)
    host.log.append("state", POSITION_KEY, Position(5).encode(), 0)
    lane = await running(host)

    lane.receive(chunk(5, "1"))
    await until(lambda: host.transactions)

    assert Position.decode(host.log.latest("state", 0)[POSITION_KEY]) == (Position(6), ONE)
    await lane.close()


async def test_the_id_of_the_source_stays_when_a_lane_makes_sure_that_it_is_nobody_elses() -> None:
    host = Host(topic_id=ONE)
    lane = await running(host)
    lane.receive(chunk(0, "1"))
    await until(lambda: lane.durable == Position(1))
    await lane.hold()
    lane.doubt()

    lane.resume()
    await until(lambda: "holds 1" in host.asked)
    await turns()

    assert Position.decode(host.log.latest("state", 0)[POSITION_KEY]) == (Position(1), ONE)
    await lane.close()


def a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of intakes be a minute ahead from now on."""
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 60)
    monkeypatch.setattr("services.shared.engine.lane.intake.time", clock)


async def test_a_source_that_is_made_anew_while_the_lane_runs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(topic_id=ONE)
    lane = await running(host)
    lane.receive(chunk(0, "1", "2", "3"))
    await until(lambda: lane.next == Position(3))
    host.topic_id = OTHER
    a_minute_later(monkeypatch)

    lane.receive(chunk(0, "1", "2", "3", "4", "5"))

    await until(lambda: lane.stopped)
    assert isinstance(lane.stopped, SourceRecreated)
    await until(lambda: host.counts() == {b"a": 3})
    await lane.close()


async def test_what_comes_again_after_a_rebalance_is_skipped_without_a_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Host()
    lane = await running(host)
    lane.receive(chunk(0, "1", "2", "3"))
    await until(lambda: lane.next == Position(3))
    a_minute_later(monkeypatch)
    await lane.hold()
    lane.resume()

    lane.receive(chunk(1, "2", "3", "4"))

    await until(lambda: host.counts() == {b"a": 4})
    assert host.sought == []
    await lane.close()


@pytest.mark.parametrize(
    ("key", "value", "kind", "said"),
    [
        (
            b"a",
            b"\x02" + bytes(9),
            NotThisVersion,
            ("its state (key b'a' of state) is of a version", "Install the version"),
        ),
        (b"stranger", b"\x01", UnreadableState, ("its state cannot be restored (key b'stranger' of state: ",)),
    ],
    ids=["of a newer version", "no state at all"],
)
async def test_state_that_cannot_be_restored_stops_its_lane_and_no_other_and_ends_no_process(
    key: bytes, value: bytes, kind: type[Exception], said: tuple[str, ...]
) -> None:
    host = Host()
    host.log.append("state", key, value, 0)
    lanes = new_lanes(host)
    lanes.assign([("events", 0), ("events", 1)], generation=1)
    stopped, other = lanes.of("events").values()
    await until(lambda: stopped.stopped and other.ready)

    lanes.receive("events", chunk(0, "1", partition=1))
    await until(lambda: host.counts(1) == {b"a": 1})

    assert isinstance(stopped.stopped, kind)
    assert all(text in str(lanes.not_ready()) for text in said)
    assert host.failed == []
    await lanes.close()


async def test_a_record_of_a_newer_version_stops_its_lane_with_what_was_before_it_durable() -> None:
    host = Host()
    lane = await running(host)

    lane.receive(chunk(0, "1", "version:2", "3"))

    await until(lambda: lane.phase is LanePhase.STOPPED)
    assert lane.durable == Position(1)
    assert lane.stopped is not None
    assert lane.stopped.reason == "version"
    assert host.failed == []
    await lane.close()


async def test_a_stopped_lane_that_leaves_takes_its_alarm_along() -> None:
    registry = CollectorRegistry()
    lanes = Lanes([SPEC], Host(committed=3), EngineMetrics(registry))
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.of("events")[0].stopped)
    labels = {"topic": "events", "partition": "0", "reason": "changelog_behind"}
    assert registry.get_sample_value("tidemark_engine_lane_stopped", labels) == 1

    lanes.assign([], generation=2)

    assert registry.get_sample_value("tidemark_engine_lane_stopped", labels) is None
    await lanes.close()
