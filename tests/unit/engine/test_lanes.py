"""The lanes of one worker: assignments, readiness, and what becomes of each."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from services.shared.engine.errors import SourceRecreated
from services.shared.engine.kafka.changelog import Loaded
from services.shared.engine.lane.states import LanePhase
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.spec import LaneSpec
from services.shared.engine.worker.lanes import Lanes
from tests.support.waiting import until
from tests.unit.engine.lane_host import PATIENT, QUICK, SPEC, Host, chunk, new_lanes, turns


async def test_an_assignment_closes_lost_lanes_opens_new_ones_and_leaves_the_rest_alone() -> None:
    host = Host()
    lanes = new_lanes(host)
    lanes.assign([("events", 0), ("events", 1)], generation=4)
    kept = lanes.of("events")[1]
    await until(lambda: kept.ready)
    await lanes.hold()

    lanes.assign([("events", 1)], generation=5)

    assert lanes.of("events") == {1: kept}
    lanes.receive("events", chunk(0, "1", partition=1))
    await until(lambda: host.counts(1) == {b"a": 1})
    assert host.asked.count("load") == 2
    await lanes.close()


async def test_a_service_is_told_when_a_lane_has_left_and_a_task_that_still_holds_it_finds_no_core() -> None:
    """A ticker that has asked for the lanes before a rebalance comes to them after it."""
    host, told = Host(settings=PATIENT), list[tuple[int, bool]]()
    spec = replace(SPEC, closed=lambda partition: told.append((partition, host.asked[-1] == "close")))
    lanes = Lanes([spec], host, EngineMetrics(CollectorRegistry()))
    lanes.assign([("events", 0), ("events", 1)], generation=4)
    held = lanes.of("events")[0]
    await until(lambda: lanes.not_ready() is None)
    assert held.processor is not None
    lanes.receive("events", chunk(0, "1"))

    lanes.assign([("events", 1)], generation=5)

    assert told == [(0, False)]
    await until(lambda: held.processor is None)
    assert host.transactions == []
    await lanes.close()
    assert told == [(0, False), (1, True)]


async def test_an_opening_is_thrown_away_when_a_generation_was_missed() -> None:
    host = Host()
    host.may_load.clear()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=4)
    before = lanes.of("events")[0]
    lanes.assign([("events", 0)], generation=5)
    assert lanes.of("events")[0] is before

    lanes.assign([("events", 0)], generation=7)

    assert lanes.of("events")[0] is not before
    assert before.phase is LanePhase.CLOSED
    await lanes.close()


async def test_a_lane_that_was_anothers_meanwhile_is_opened_anew_and_no_other() -> None:
    host = Host()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=4)
    lane = lanes.of("events")[0]
    lanes.receive("events", chunk(0, "1"))
    await until(lambda: lane.durable.offset == 1)
    await lanes.hold()
    host.asked.clear()

    lanes.assign([("events", 0)], generation=6)
    await until(lambda: host.asked)
    assert host.asked == ["holds 1"]  # nobody: it goes on with what it has
    lanes.receive("events", chunk(1, "2"))
    await until(lambda: host.counts() == {b"a": 2})

    await lanes.hold()
    host.log.append("state", b"a", host.log.latest("state", 0)[b"a"], 0)
    host.log.append("state", POSITION_KEY, Position(7).encode(), 0)  # as another has left it
    host.fenced = True
    host.asked.clear()
    lanes.assign([("events", 0)], generation=8)
    await until(lambda: lane.durable.offset == 7 and lane.ready)
    assert host.asked == ["holds 2", "close", "fence", "load"]
    lanes.receive("events", chunk(7, "8"))
    await until(lambda: host.counts() == {b"a": 3})
    assert not host.failed
    await lanes.close()


async def test_a_source_that_is_another_topic_by_now_stops_its_lanes_though_its_offsets_go_on() -> None:
    host = Host(topic_id=b"1" * 16)
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)
    lane = lanes.of("events")[0]
    lanes.receive("events", chunk(0, "1"))
    await until(lambda: lane.durable.offset == 1)

    lanes.source_found("events", b"1" * 16)
    lanes.source_found("events", bytes(16))
    lanes.receive("events", chunk(1, "2"))
    await until(lambda: lane.durable.offset == 2)
    host.topic_id = b"2" * 16
    lanes.source_found("events", b"2" * 16)

    await until(lambda: lane.stopped)
    assert isinstance(lane.stopped, SourceRecreated)
    await lanes.close()


async def test_a_group_that_counts_anew_leaves_no_lane_undoubted() -> None:
    """It was deleted while this worker was frozen: whoever came first had all lanes in its first generation."""
    host = Host()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=4)
    await until(lambda: lanes.of("events")[0].ready)
    await lanes.hold()
    host.asked.clear()

    lanes.assign([("events", 0)], generation=2)

    await until(lambda: host.asked == ["holds 0"])
    await lanes.close()


async def test_a_lane_is_doubted_once_for_each_time_that_another_may_have_had_it() -> None:
    host = Host()
    lanes = new_lanes(host)

    async def asked_by_generation(generation: int) -> list[str]:
        host.asked.clear()
        await lanes.hold()
        lanes.assign([("events", 0)], generation)
        await turns()
        await until(lambda: lanes.not_ready() is None)
        return host.asked.copy()

    assert await asked_by_generation(1) == ["fence", "load"]
    assert await asked_by_generation(3) == ["holds 0"]  # another may have had it in the second
    assert await asked_by_generation(4) == []
    host.fenced = True
    assert await asked_by_generation(6) == ["holds 0", "close", "fence", "load"]
    assert await asked_by_generation(7) == []
    await lanes.close()


async def test_a_lane_that_was_anothers_folds_nothing_more_of_the_chunk_that_it_had_begun() -> None:
    host = Host(settings=PATIENT)
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=4)
    lane = lanes.of("events")[0]
    await until(lambda: lane.ready)
    lanes.receive("events", chunk(0, *["1"] * 5000))
    await until(lambda: lane.next.offset > 400)
    await lanes.hold()
    folded = lane.durable.offset
    assert folded < 5000
    host.fenced = True

    lanes.assign([("events", 0)], generation=6)
    await until(lambda: host.asked.count("load") == 2 and lane.ready)

    assert host.counts() == {b"a": folded}
    assert lane.next.offset == folded
    assert not host.failed
    await lanes.close()


async def test_an_assignment_does_not_wait_for_a_changelog() -> None:
    host = Host()
    host.may_load.clear()
    lanes = new_lanes(host)

    lanes.assign([("events", 0)], generation=1)

    assert lanes.not_ready() == "lane events/0 is opening"
    await lanes.close()


async def test_a_worker_is_ready_when_all_its_lanes_are_and_says_why_not() -> None:
    host = Host(committed=3)
    lanes = new_lanes(host)
    assert lanes.not_ready() == "waiting for the group to assign partitions"

    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.of("events")[0].stopped)

    assert "the changelog holds no position" in str(lanes.not_ready())
    await lanes.close()


async def test_a_lane_whose_consumer_goes_on_behind_records_that_are_gone_stops_before_the_next_one_comes() -> None:
    host = Host()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)
    lane = lanes.of("events")[0]
    await until(lambda: lanes.not_ready() is None)
    host.earliest = host.end = 5

    lanes.observe(lambda _home: (5, 5), now=0.0)
    await turns()
    assert lane.stopped is None  # a chunk may be on its way
    lanes.observe(lambda _home: (5, 5), now=0.0)

    await until(lambda: lane.stopped)
    assert "5 records are gone" in str(lanes.not_ready())
    await lanes.close()


async def test_a_lane_that_is_rebuilt_stops_once_the_end_of_what_it_folds_in_silence_is_gone() -> None:
    """The lane has not come there: what is written there now was never given out, and would not be."""
    host = Host(settings=QUICK.model_copy(update={"rebuild": True}), committed=5, end=5)
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)
    lane = lanes.of("events")[0]
    lanes.receive("events", chunk(0, "1", "1"))
    await until(lambda: lane.durable.offset == 2)
    lanes.observe(lambda _home: (2, 5), now=0.0)
    await turns()
    assert lane.ready

    host.end = 3
    lanes.observe(lambda _home: (2, 3), now=0.0)

    await until(lambda: lane.stopped)
    assert "the log ends at 3, but the lane has folded up to 5" in str(lanes.not_ready())
    await lanes.close()


async def test_a_lane_whose_consumer_has_moved_for_no_reason_reads_again_and_goes_on() -> None:
    host = Host()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.not_ready() is None)

    for _ in range(2):
        lanes.observe(lambda _home: (3, 5), now=0.0)

    await until(lambda: host.sought == [0])
    lanes.receive("events", chunk(0, "1"))
    await until(lambda: host.counts() == {b"a": 1})
    await lanes.close()


async def test_a_lane_that_has_written_nothing_for_a_day_writes_its_position_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise brokers forget its transactional id, and its next record ends the process."""
    clock = [1000.0]
    monkeypatch.setattr("services.shared.engine.lane.ownership.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("services.shared.engine.lane.lane.time", SimpleNamespace(monotonic=lambda: clock[0]))
    host = Host()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)
    lane = lanes.of("events")[0]

    async def a_day_passes() -> None:
        clock[0] += 86_500
        lanes.keep()
        await turns()

    await a_day_passes()  # before it opens, which counts as well
    await until(lambda: lane.ready)
    lanes.keep()
    await turns()
    assert not host.checks
    clock[0] += 80_000
    lanes.receive("events", chunk(0, "1"))
    await until(lambda: lane.durable.offset == 1)
    clock[0] += 80_000
    lanes.keep()
    await turns()
    assert not host.checks
    await a_day_passes()
    await a_day_passes()
    lanes.keep()
    await turns()
    assert [each.position.offset for each in host.checks] == [1, 1]
    await lanes.hold()
    await a_day_passes()
    assert (len(host.checks), lane.ready) == (2, True)
    host.fenced = True
    lanes.assign([("events", 0)], generation=2)
    host.asked.clear()
    await a_day_passes()

    assert host.asked[:4] == ["holds 1", "close", "fence", "load"]
    assert not host.failed
    await lanes.close()


async def test_what_waits_for_a_lane_is_not_read_again_because_the_consumer_is_ahead() -> None:
    host = Host(settings=PATIENT)
    host.may_write.clear()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)
    lane = lanes.of("events")[0]
    await until(lambda: lane.ready)
    full = host.settings.transaction_records
    lanes.receive("events", chunk(0, *["1"] * full))
    lanes.receive(
        "events", chunk(full, *["1"] * full)
    )  # waits until the first transaction is committed, and is folded then
    lanes.receive("events", chunk(2 * full, "1"))
    await until(lambda: lane.next.offset == 2 * full)

    for _ in range(3):
        lanes.observe(lambda _home: (2 * full + 1, 2 * full + 1), now=0.0)
        await turns()

    assert (lane.queued, host.sought) == (1, [])
    host.may_write.set()
    await until(lambda: lane.next.offset == 2 * full + 1)
    await lanes.close()


async def test_a_lane_whose_task_a_library_cancels_ends_the_process_instead_of_opening_for_ever() -> None:
    class Cancelling(Host):
        """As a client did whose stop passed on the cancellation of a fetch."""

        async def load(self, spec: LaneSpec, partition: int) -> Loaded:
            raise asyncio.CancelledError

    host = Cancelling()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)

    await until(lambda: bool(host.failed))

    assert "the task of lane events/0 was cancelled" in str(host.failed[0])
    await lanes.close()
    assert len(host.failed) == 1


async def test_a_lane_that_is_closed_while_it_opens_ends_nothing_else() -> None:
    host = Host()
    host.may_load.clear()
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: "load" in host.asked)

    await lanes.close()

    assert host.failed == []


async def test_a_lane_that_is_lost_while_it_opens_gives_back_all_that_it_reads_its_changelogs_with() -> None:
    """Leaving a connection takes several turns of the loop; nothing cuts that short."""
    host = Host()
    given_back: list[bool] = []

    async def load(_spec: LaneSpec, _partition: int) -> Loaded:
        try:
            host.asked.append("load")
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            given_back.append(True)
        raise AssertionError

    host.load = load  # type: ignore[assignment, method-assign]
    lanes = new_lanes(host)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: "load" in host.asked)

    lanes.assign([], generation=2)
    await lanes.close()

    assert given_back
