"""One lane over a log in memory: the rules of opening, feeding, committing, holding and stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from prometheus_client import CollectorRegistry

from services.shared.engine.chunks import Chunk
from services.shared.engine.core import Append, SourceRecord
from services.shared.engine.counting import CountingCore, counting_spec, read_count
from services.shared.engine.draft import Draft
from services.shared.engine.errors import ChangelogBehind, FailStop, SourceBehind, SourceGap
from services.shared.engine.lane import Lane, LaneState
from services.shared.engine.lane_metrics import LaneMetrics
from services.shared.engine.lanes import Lanes
from services.shared.engine.loader import Loaded
from services.shared.engine.memory_log import MemoryLog
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.position import POSITION_KEY, UNKNOWN_TOPIC, Position
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.engine.start import Bounds

SPEC = counting_spec("events", "state", "out", "dead", appends="side")
PATIENT = EngineSettings(transaction_ms=5000)
QUICK = EngineSettings(transaction_ms=1)


@dataclass
class Around:
    """Everything a lane needs, over a log in memory; what it is asked for is written down."""

    log: MemoryLog = field(default_factory=lambda: MemoryLog(partitions=2))
    settings: EngineSettings = QUICK
    limits: dict[str, int] = field(default_factory=dict)
    openings: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    asked: list[str] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    sought: list[int] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    earliest: int = 0
    end: int = 1 << 40
    committed: int | None = None
    topic_id: bytes = UNKNOWN_TOPIC
    may_load: asyncio.Event = field(default_factory=asyncio.Event)
    may_write: asyncio.Event = field(default_factory=asyncio.Event)
    write_error: Exception | None = None
    fenced: bool = False
    further: list[SourceRecord] = field(default_factory=list)
    """What lies further down the log, for a lane that looks ahead."""

    def __post_init__(self) -> None:
        self.may_load.set()
        self.may_write.set()

    def writer(self, spec: LaneSpec, partition: int) -> Any:
        around = self

        class Writer:
            async def start(self) -> None:
                around.asked.append("fence")

            async def write(self, draft: Draft) -> None:
                around.asked.append("write")
                await around.may_write.wait()
                if around.write_error:
                    raise around.write_error
                around.drafts.append(draft)
                for (store, key), value in draft.changes.items():
                    around.log.append(spec.stores[store], key, value, partition)
                around.log.append(spec.stores[spec.position_store], POSITION_KEY, draft.encoded_position(), partition)
                for output in draft.outputs:
                    around.log.append(*output)

            async def holds(self, draft: Draft) -> bool:
                around.asked.append(f"holds {draft.position.offset}")
                if not around.fenced:
                    home = spec.stores[spec.position_store]
                    around.log.append(home, POSITION_KEY, draft.encoded_position(), partition)
                return not around.fenced

            async def close(self) -> None:
                around.asked.append("close")

        return Writer()

    async def load(self, spec: LaneSpec, partition: int) -> Loaded:
        self.asked.append("load")
        await self.may_load.wait()
        return Loaded({store: self.log.latest(topic, partition) for store, topic in spec.stores.items()}, 0)

    async def bounds(self, _topic: str, _partition: int) -> Bounds:
        return Bounds(self.earliest, self.end, self.committed, self.topic_id)

    async def look_ahead(
        self, _topic: str, _partition: int, start: int, wanted: Callable[[SourceRecord], bool]
    ) -> tuple[SourceRecord | None, int]:
        self.asked.append(f"look {start}")
        found = next((record for record in self.further if record.offset >= start and wanted(record)), None)
        return found, start

    async def append(self, appends: Iterable[Append]) -> None:
        for append in appends:
            self.asked.append("append")
            self.log.append(append.topic, append.key, append.value, append.partition)

    async def seek(self, _topic: str, _partition: int, offset: int) -> None:
        self.sought.append(offset)

    def hold_fetch(self, _topic: str, _partition: int, hold: bool) -> None:
        self.held.append(hold)

    def fail(self, error: BaseException) -> None:
        self.failed.append(error)

    def counts(self, partition: int = 0) -> dict[bytes, int]:
        return {k: read_count(v) for k, v in self.log.latest("state", partition).items() if k != POSITION_KEY}


def chunk(first: int, *values: str, start: int | None = None, end: int | None = None, partition: int = 0) -> Chunk:
    records = [
        SimpleNamespace(offset=first + n, key=b"a", value=v.encode(), timestamp=1_000, timestamp_type=1)
        for n, v in enumerate(values)
    ]
    return Chunk(
        TP("events", partition), records, first if start is None else start, first + len(values) if end is None else end
    )


async def until(condition: Callable[[], Any], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0)


def new_lane(around: Around, spec: LaneSpec = SPEC) -> Lane:
    return Lane(spec, 0, 1, around, LaneMetrics(EngineMetrics(CollectorRegistry()), "events", 0))


async def running(around: Around, spec: LaneSpec = SPEC) -> Lane:
    lane = new_lane(around, spec)
    lane.start()
    await until(lambda: lane.ready or lane.stopped or around.failed)
    return lane


async def test_a_lane_that_waits_for_an_answer_says_so_and_goes_on_at_the_record_that_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.shared.engine.hearing._LOOK_EVERY_S", 0.001)
    around = Around()
    lane = await running(around)
    lane.receive(chunk(0, "1", "ask", "2"))
    await until(lambda: lane.stopped is not None and "look 2" in around.asked)
    assert around.counts() == {b"a": 1}
    await lane.hold()  # a rebalance does not wait for it
    lane.resume()

    around.further.append(SourceRecord("events", 0, 7, b"a", b"answer"))
    await until(lambda: lane.ready)
    assert lane.stopped is None
    assert around.sought[-1] == 1
    lane.receive(chunk(1, "ask", "2"))
    await until(lambda: around.counts() == {b"a": 3})
    await lane.close()


# opening


async def test_the_former_owner_is_fenced_before_anything_is_loaded() -> None:
    around = Around()

    await running(around)

    assert around.asked[:2] == ["fence", "load"]


async def test_chunks_wait_in_a_bounded_queue_while_the_lane_opens() -> None:
    around = Around(settings=EngineSettings(transaction_ms=1, queue_records=4))
    around.may_load.clear()
    lane = new_lane(around)
    lane.start()
    await until(lambda: "load" in around.asked)

    lane.receive(chunk(0, "1", "2"))
    assert around.held == []
    lane.receive(chunk(2, "3", "4"))
    assert around.held == [True]
    around.may_load.set()
    await until(lambda: around.counts() == {b"a": 4})

    assert around.held == [True, False]


async def test_a_lane_goes_on_at_its_durable_position_and_skips_what_is_below() -> None:
    around = Around()
    around.log.append("state", POSITION_KEY, Position(3).encode(), 0)
    lane = await running(around)

    lane.receive(chunk(0, "1", "2"))
    lane.receive(chunk(2, "3", "4", "5"))

    await until(lambda: around.counts() == {b"a": 2})
    assert lane.next == Position(5)
    lane.receive(chunk(1, "2", "3"))  # once more, as after a rebalance
    lane.receive(chunk(4, "5", "6"))
    await until(lambda: around.counts() == {b"a": 3})
    assert around.sought == [3]


async def test_a_first_start_begins_where_the_log_begins() -> None:
    around = Around(earliest=100)
    lane = await running(around)

    lane.receive(chunk(100, "1"))

    await until(lambda: around.counts() == {b"a": 1})


async def test_a_group_ahead_of_the_changelog_is_refused() -> None:
    around = Around(committed=7)
    around.log.append("state", POSITION_KEY, Position(5).encode(), 0)

    lane = await running(around)

    assert isinstance(lane.stopped, ChangelogBehind)
    assert not around.failed


async def test_a_group_with_offsets_and_a_changelog_without_position_is_refused() -> None:
    lane = await running(Around(committed=0))

    assert isinstance(lane.stopped, ChangelogBehind)


async def test_a_group_behind_the_changelog_is_skipped_over() -> None:
    around = Around(committed=2)
    around.log.append("state", POSITION_KEY, Position(5).encode(), 0)

    assert (await running(around)).next == Position(5)


async def test_a_source_that_ends_before_the_position_is_refused() -> None:
    around = Around(end=4)
    around.log.append("state", POSITION_KEY, Position(5).encode(), 0)

    assert isinstance((await running(around)).stopped, SourceBehind)


# gaps


async def test_a_source_whose_next_records_are_gone_is_refused_at_opening() -> None:
    around = Around(earliest=9)
    around.log.append("state", POSITION_KEY, Position(5).encode(), 0)

    lane = await running(around)

    assert isinstance(lane.stopped, SourceGap)
    assert (lane.stopped.expected, lane.stopped.found) == (5, 9)
    assert "TIDEMARK_ENGINE_ACCEPT_GAP" in str(lane.stopped)


async def test_a_gap_at_opening_is_passed_over_where_an_operator_says_so() -> None:
    around = Around(settings=EngineSettings(transaction_ms=1, accept_gap=True), earliest=9)
    around.log.append("state", POSITION_KEY, Position(5, 3).encode(), 0)

    assert (await running(around)).next == Position(9, 0)


async def test_a_chunk_that_got_lost_on_the_way_is_read_again() -> None:
    around = Around()
    lane = await running(around)
    lane.receive(chunk(0, "1"))

    lane.receive(chunk(5, "6"))
    await until(lambda: around.sought == [1])
    lane.receive(chunk(1, "2", "3", "4", "5", "6"))

    await until(lambda: around.counts() == {b"a": 6})


async def test_a_lost_chunk_of_a_transactional_source_is_read_again_too() -> None:
    around = Around()
    lane = await running(around, replace(SPEC, mode=SourceMode.TRANSACTIONAL))
    lane.receive(chunk(0, "1", end=3))

    lane.receive(chunk(7, "6", start=5, end=8))

    await until(lambda: around.sought == [3])
    assert not lane.stopped


async def test_records_lost_by_retention_while_the_lane_runs_stop_it_with_the_rest_durable() -> None:
    around = Around(settings=PATIENT)
    lane = await running(around)
    lane.receive(chunk(0, "1", "2"))
    await until(lambda: lane.next.offset == 2)
    around.earliest = 5

    lane.receive(chunk(5, "6"))

    await until(lambda: lane.stopped)
    assert isinstance(lane.stopped, SourceGap)
    await until(lambda: around.counts() == {b"a": 2})


async def test_a_hole_in_a_contiguous_source_is_refused() -> None:
    around = Around()
    lane = await running(around)

    lane.receive(chunk(0, "1", end=4))
    lane.receive(chunk(4, "5"))
    lane.receive(chunk(7, "8", start=5, end=8))

    await until(lambda: lane.stopped)
    assert isinstance(lane.stopped, SourceGap)
    assert (lane.stopped.expected, lane.stopped.found) == (1, 4)
    await until(lambda: around.counts() == {b"a": 1})


async def test_a_hole_in_a_transactional_source_is_nothing() -> None:
    around = Around()
    lane = await running(around, replace(SPEC, mode=SourceMode.TRANSACTIONAL))

    lane.receive(chunk(1, "1", start=0, end=4))
    lane.receive(chunk(7, "8", start=4, end=9))

    await until(lambda: around.counts() == {b"a": 2})
    assert lane.next == Position(9)


# transactions


async def test_a_transaction_spans_chunks_until_it_is_due() -> None:
    around = Around(settings=EngineSettings(transaction_ms=5000, transaction_records=6))
    lane = await running(around)

    for n in range(0, 5, 1):
        lane.receive(chunk(n, "1"))
    await until(lambda: lane.next.offset == 5)
    assert around.drafts == []
    lane.receive(chunk(5, "1"))

    await until(lambda: around.drafts)
    assert [d.records for d in around.drafts] == [6]


async def test_a_transaction_is_committed_when_its_time_has_come() -> None:
    around = Around(settings=EngineSettings(transaction_ms=30))
    lane = await running(around)
    began = asyncio.get_running_loop().time()

    lane.receive(chunk(0, "1"))
    await until(lambda: around.drafts)

    assert 0.02 < asyncio.get_running_loop().time() - began < 2


async def test_an_urgent_record_is_committed_at_once() -> None:
    around = Around(settings=PATIENT)
    lane = await running(around)

    lane.receive(chunk(0, "1", "urgent"))

    await until(lambda: around.drafts)


async def test_a_step_that_someone_waits_for_is_committed_though_its_outputs_were_taken() -> None:
    class Hasty(CountingCore):
        def _long(self, key: bytes, argument: bytes, step: int) -> Iterator[None]:
            for n, _ in enumerate(super()._long(key, argument, step), start=step):
                self.urgent = n == 2
                yield

        def take_outputs(self) -> list[Any]:
            self.urgent = False
            return super().take_outputs()

    around = Around(settings=PATIENT)
    around.may_write.clear()
    lane = await running(around, replace(SPEC, core=lambda p: Hasty(p, "out")))
    lane.receive(chunk(0, "urgent"))
    await until(lambda: "write" in around.asked)

    lane.receive(chunk(1, "long:9"))
    await until(lambda: lane.next == Position(2))
    around.may_write.set()

    await until(lambda: lane.durable == Position(2), within_s=3)


async def test_a_timer_that_comes_early_commits_all_the_same() -> None:
    """By uvloop a timer counts from the time at which it last looked: no second timer would come."""
    around = Around(settings=PATIENT)
    lane = await running(around)
    lane.receive(chunk(0, "1"))
    await until(lambda: lane.next.offset == 1)
    assert lane._commits._deadline is not None

    lane._commits._ring(lane._commits._deadline)

    await until(lambda: around.drafts)


async def test_folding_goes_on_while_a_transaction_commits_and_stops_when_too_much_waits() -> None:
    around = Around(settings=EngineSettings(transaction_ms=5000, transaction_records=2))
    around.may_write.clear()
    lane = await running(around)

    lane.receive(chunk(0, "1", "2"))
    await until(lambda: around.asked.count("write") == 1)
    lane.receive(chunk(2, "3", "4"))
    await until(lambda: lane.next.offset == 4)
    lane.receive(chunk(4, "5", "6"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert lane.next.offset == 4
    assert around.asked.count("write") == 1
    around.may_write.set()

    await until(lambda: around.counts() == {b"a": 6})


async def test_a_large_chunk_does_not_outrun_a_commit_under_way() -> None:
    around = Around(settings=EngineSettings(transaction_ms=5000, transaction_records=500))
    around.may_write.clear()
    lane = await running(around)

    lane.receive(chunk(0, *["1"] * 5000))
    await until(lambda: "write" in around.asked)
    for _ in range(50):
        await asyncio.sleep(0)

    assert lane.next.offset == 1000
    around.may_write.set()
    await until(lambda: lane.next.offset == 5000)


async def test_appends_follow_their_transaction_and_precede_the_next() -> None:
    around = Around()
    lane = await running(around)
    around.asked.clear()

    lane.receive(chunk(0, "append"))
    await until(lambda: "append" in around.asked)
    lane.receive(chunk(1, "1"))
    await until(lambda: lane.durable.offset == 2)

    assert around.asked == ["write", "append", "write"]


async def test_after_a_failed_transaction_nothing_more_is_written() -> None:
    around = Around(write_error=FailStop("fenced"))
    lane = await running(around)

    lane.receive(chunk(0, "1"))
    await until(lambda: around.failed)
    lane.receive(chunk(1, "urgent"))
    for _ in range(50):
        await asyncio.sleep(0)

    assert around.asked.count("write") == 1
    assert lane.durable == Position(0)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
async def test_an_error_of_the_machine_ends_the_process_and_blames_no_record(error: BaseException) -> None:
    class Broken(CountingCore):
        def fold(self, *_: Any) -> None:
            raise error

    around = Around()
    lane = await running(around, replace(SPEC, core=lambda p: Broken(p, "out")))

    lane.receive(chunk(0, "1"))

    await until(lambda: around.failed)
    assert around.failed == [error]
    assert around.drafts == []


# steps


async def test_others_get_a_turn_between_the_steps_of_a_long_fold() -> None:
    around = Around(settings=PATIENT)
    lane = await running(around)
    seen: set[int] = set()

    async def look() -> None:
        while lane.next.offset == 0:
            seen.add(lane.next.step)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    lane.receive(chunk(0, "long:20"))
    await looking

    assert len(seen) >= 20


async def test_others_get_a_turn_within_a_large_chunk() -> None:
    around = Around(settings=PATIENT)
    lane = await running(around)
    seen: set[int] = set()

    async def look() -> None:
        while lane.next.offset < 5000:
            seen.add(lane.next.offset)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    lane.receive(chunk(0, *["1"] * 5000))
    await looking

    assert len(seen) >= 8


async def test_a_long_fold_is_committed_between_its_steps_when_its_changes_are_large() -> None:
    class Heavy(CountingCore):
        def _long(self, key: bytes, argument: bytes, step: int) -> Iterator[None]:
            for _ in super()._long(key, argument, step):
                self._fat[key] = 30_000
                yield

    around = Around(settings=EngineSettings(transaction_ms=5000, transaction_bytes=1 << 16))
    lane = await running(around, replace(SPEC, core=lambda p: Heavy(p, "out")))

    lane.receive(chunk(0, "long:12"))
    await until(lambda: lane.next == Position(1))
    await lane.hold()

    assert [d.position for d in around.drafts[:-1]] == [Position(0, n) for n in (3, 6, 9, 12)]
    assert around.counts() == {b"a": 12}


# raising folds


async def test_a_reopened_lane_starts_a_new_writer_before_it_loads() -> None:
    """A commit that was acknowledged may not show in the changelogs yet; starting a writer waits for that."""
    around = Around()
    lane = await running(around)
    around.asked.clear()

    lane.receive(chunk(0, "1", "raise"))
    await until(lambda: around.sought)

    assert around.asked == ["close", "fence", "load"]
    assert around.sought == [0]


async def test_a_reopening_waits_for_the_transaction_under_way() -> None:
    around = Around()
    around.may_write.clear()
    lane = await running(around)
    lane.receive(chunk(0, "1"))
    await until(lambda: "write" in around.asked)

    lane.receive(chunk(1, "raise"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert around.asked.count("load") == 1
    around.may_write.set()
    await until(lambda: around.sought)

    assert around.sought == [1]


# holding and closing


async def test_a_held_lane_has_committed_and_stands_still() -> None:
    around = Around(settings=PATIENT)
    lane = await running(around)
    lane.receive(chunk(0, "1", "2"))
    await until(lambda: lane.next.offset == 2)

    await lane.hold()
    assert around.counts() == {b"a": 2}
    lane.receive(chunk(2, "3"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert lane.next.offset == 2
    lane.resume()

    await until(lambda: lane.next.offset == 3)


async def test_holding_waits_for_the_transaction_under_way() -> None:
    around = Around()
    around.may_write.clear()
    lane = await running(around)
    lane.receive(chunk(0, "1"))
    await until(lambda: "write" in around.asked)

    holding = asyncio.create_task(lane.hold())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not holding.done()
    around.may_write.set()

    await holding


async def test_holding_does_not_wait_for_an_opening() -> None:
    around = Around()
    around.may_load.clear()
    lane = new_lane(around)
    lane.start()

    async with asyncio.timeout(1):
        await lane.hold()

    assert lane.state is LaneState.OPENING
    await lane.close()


async def test_a_long_fold_can_be_held_between_its_steps() -> None:
    around = Around(settings=PATIENT)
    lane = await running(around)
    lane.receive(chunk(0, "long:1000"))
    await until(lambda: lane.next.step > 3)

    await lane.hold()

    assert 3 < lane.durable.step < 1000
    lane.resume()
    await until(lambda: lane.next == Position(1))
    await lane.hold()
    assert around.counts() == {b"a": 1000}


async def test_closing_commits_nothing_more() -> None:
    around = Around(settings=PATIENT)
    lane = await running(around)
    lane.receive(chunk(0, "1"))
    await until(lambda: lane.next.offset == 1)

    await lane.close()

    assert around.drafts == []
    assert around.asked[-1] == "close"


# lanes of a worker


def new_lanes(around: Around) -> Lanes:
    return Lanes([SPEC], around, EngineMetrics(CollectorRegistry()))


async def test_an_assignment_closes_lost_lanes_opens_new_ones_and_leaves_the_rest_alone() -> None:
    around = Around()
    lanes = new_lanes(around)
    lanes.assign([("events", 0), ("events", 1)], generation=4)
    kept = lanes.of("events")[1]
    await until(lambda: kept.ready)
    await lanes.hold()

    lanes.assign([("events", 1)], generation=5)

    assert lanes.of("events") == {1: kept}
    lanes.receive("events", chunk(0, "1", partition=1))
    await until(lambda: around.counts(1) == {b"a": 1})
    assert around.asked.count("load") == 2
    await lanes.close()


async def test_a_service_is_told_when_a_lane_has_left_and_a_task_that_still_holds_it_finds_no_core() -> None:
    """A ticker that has asked for the lanes before a rebalance comes to them after it."""
    around, told = Around(settings=PATIENT), list[tuple[int, bool]]()
    spec = replace(SPEC, closed=lambda partition: told.append((partition, around.asked[-1] == "close")))
    lanes = Lanes([spec], around, EngineMetrics(CollectorRegistry()))
    lanes.assign([("events", 0), ("events", 1)], generation=4)
    held = lanes.of("events")[0]
    await until(lambda: lanes.not_ready() is None)
    assert held.core is not None
    lanes.receive("events", chunk(0, "1"))

    lanes.assign([("events", 1)], generation=5)

    assert told == [(0, False)]
    await until(lambda: held.core is None)
    assert around.drafts == []
    await lanes.close()
    assert told == [(0, False), (1, True)]


async def test_the_alarm_of_a_stopped_lane_leaves_with_it() -> None:
    metrics = EngineMetrics(CollectorRegistry())
    lanes = Lanes([SPEC], Around(committed=3), metrics)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.of("events")[0].stopped)
    assert [s.value for m in metrics.stopped.collect() for s in m.samples] == [1]

    lanes.assign([], generation=2)

    assert [s.value for m in metrics.stopped.collect() for s in m.samples] == []
    await lanes.close()


async def test_an_opening_is_thrown_away_when_a_generation_was_missed() -> None:
    around = Around()
    around.may_load.clear()
    lanes = new_lanes(around)
    lanes.assign([("events", 0)], generation=4)
    before = lanes.of("events")[0]
    lanes.assign([("events", 0)], generation=5)
    assert lanes.of("events")[0] is before

    lanes.assign([("events", 0)], generation=7)

    assert lanes.of("events")[0] is not before
    assert before.state is LaneState.CLOSED
    await lanes.close()


async def test_a_lane_that_was_anothers_meanwhile_is_opened_anew_and_no_other() -> None:
    around = Around()
    lanes = new_lanes(around)
    lanes.assign([("events", 0)], generation=4)
    lane = lanes.of("events")[0]
    lanes.receive("events", chunk(0, "1"))
    await until(lambda: lane.durable.offset == 1)
    await lanes.hold()
    around.asked.clear()

    lanes.assign([("events", 0)], generation=6)
    await until(lambda: around.asked)
    assert around.asked == ["holds 1"]  # nobody: it goes on with what it has
    lanes.receive("events", chunk(1, "2"))
    await until(lambda: around.counts() == {b"a": 2})

    await lanes.hold()
    around.log.append("state", b"a", around.log.latest("state", 0)[b"a"], 0)
    around.log.append("state", POSITION_KEY, Position(7).encode(), 0)  # as another has left it
    around.fenced = True
    around.asked.clear()
    lanes.assign([("events", 0)], generation=8)
    await until(lambda: lane.durable.offset == 7 and lane.ready)
    assert around.asked == ["holds 2", "close", "fence", "load"]
    lanes.receive("events", chunk(7, "8"))
    await until(lambda: around.counts() == {b"a": 3})
    assert not around.failed
    await lanes.close()


async def test_a_lane_that_was_anothers_folds_nothing_more_of_the_chunk_that_it_had_begun() -> None:
    around = Around(settings=PATIENT)
    lanes = new_lanes(around)
    lanes.assign([("events", 0)], generation=4)
    lane = lanes.of("events")[0]
    await until(lambda: lane.ready)
    lanes.receive("events", chunk(0, *["1"] * 5000))
    await until(lambda: lane.next.offset > 400)
    await lanes.hold()
    folded = lane.durable.offset
    assert folded < 5000
    around.fenced = True

    lanes.assign([("events", 0)], generation=6)
    await until(lambda: around.asked.count("load") == 2 and lane.ready)

    assert around.counts() == {b"a": folded}
    assert lane.next.offset == folded
    assert not around.failed
    await lanes.close()


async def test_an_assignment_does_not_wait_for_a_changelog() -> None:
    around = Around()
    around.may_load.clear()
    lanes = new_lanes(around)

    lanes.assign([("events", 0)], generation=1)

    assert lanes.not_ready() == "lane events/0 is opening"
    await lanes.close()


async def test_a_worker_is_ready_when_all_its_lanes_are_and_says_why_not() -> None:
    around = Around(committed=3)
    lanes = new_lanes(around)
    assert lanes.not_ready() == "waiting for the group to assign partitions"

    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.of("events")[0].stopped)

    assert "the changelog holds no position" in str(lanes.not_ready())
    await lanes.close()


async def test_a_lane_that_was_idle_is_not_stalled_when_records_come(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("services.shared.engine.lane.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("services.shared.engine.lanes.time", SimpleNamespace(monotonic=lambda: clock[0]))
    lanes = new_lanes(Around(settings=EngineSettings(stall_s=60)))
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.not_ready() is None)
    lanes.observe(lambda _home: (0, 0), now=0.0)
    clock[0] += 3600

    assert lanes.observe(lambda _home: (0, 5), now=0.0) == 0
    clock[0] += 61
    assert lanes.observe(lambda _home: (0, 5), now=0.0) == 61
    assert lanes.not_ready() == "lane events/0 has records to fold and does not move"
    await lanes.close()


async def test_a_lane_whose_end_nobody_can_tell_counts_as_stalled_unless_it_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("services.shared.engine.lane.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("services.shared.engine.lanes.time", SimpleNamespace(monotonic=lambda: clock[0]))
    metrics = EngineMetrics(CollectorRegistry())
    lanes = Lanes([SPEC], Around(settings=EngineSettings(stall_s=60, transaction_ms=1)), metrics)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.not_ready() is None)
    stalled = metrics.stalled.labels("events", "0")
    clock[0] += 59
    lanes.receive("events", chunk(0, "1"))
    await until(lambda: lanes.of("events")[0].durable.offset == 1)

    clock[0] += 59
    assert lanes.observe(lambda _home: None, now=0.0) == 0
    assert lanes.not_ready() is None
    assert stalled._value.get() == 0
    clock[0] += 2
    assert lanes.observe(lambda _home: None, now=0.0) == 0  # a new process would know no more: nothing to end it for
    assert "nobody can say where events/0 ends" in str(lanes.not_ready())
    assert stalled._value.get() == 1
    lanes.observe(lambda _home: (1, 1), now=0.0)
    assert lanes.not_ready() is None
    assert stalled._value.get() == 0
    await lanes.close()


async def test_a_consumer_that_does_not_poll_stalls_every_lane() -> None:
    metrics = EngineMetrics(CollectorRegistry())
    lanes = Lanes([SPEC], Around(settings=EngineSettings(stall_s=60)), metrics)
    lanes.assign([("events", 0)], generation=1)
    await until(lambda: lanes.not_ready() is None)

    lanes.observe(lambda _home: (0, 0), now=0.0, silent_s=61)

    assert lanes.not_ready() == "the Kafka consumer has not polled for 61 s"
    assert metrics.stalled.labels("events", "0")._value.get() == 1
    await lanes.close()


async def test_a_lane_that_stops_while_it_reopens_commits_nothing_of_the_broken_fold() -> None:
    """The fold that raised has changed half of what it should have; only what was durable before may stay."""
    around = Around(settings=PATIENT)
    lane = await running(around)
    lane.receive(chunk(0, "1", "2", "3"))
    await until(lambda: lane.next.offset == 3)
    await lane.hold()
    lane.resume()
    around.earliest = 10

    lane.receive(chunk(3, "4", "raise"))
    await until(lambda: lane.stopped)
    for _ in range(50):
        await asyncio.sleep(0)

    assert isinstance(lane.stopped, SourceGap)
    assert around.counts() == {b"a": 3}
    await lane.close()


async def test_a_lane_that_is_held_again_before_it_has_gone_on_says_that_it_stands_still() -> None:
    around = Around()
    lane = await running(around)
    await lane.hold()

    lane.resume()
    async with asyncio.timeout(1):
        await lane.hold()

    lane.receive(chunk(0, "1"))
    lane.resume()
    await until(lambda: around.counts() == {b"a": 1})
    await lane.close()


async def test_changes_that_can_never_be_taken_stop_the_lane_instead_of_reopening_it_for_ever() -> None:
    class GivesNothing(CountingCore):
        def take_changes(self) -> Any:
            raise ZeroDivisionError("as asked")

    around = Around()
    spec = replace(SPEC, core=lambda partition: GivesNothing(partition, "out"))
    lane = await running(around, spec)

    fed = -1
    async with asyncio.timeout(5):
        while not lane.stopped:
            if len(around.sought) != fed:
                fed = len(around.sought)
                lane.receive(chunk(0, "1", "2"))
            await asyncio.sleep(0)

    assert around.asked.count("load") <= 2 * around.settings.max_raises
    await lane.close()


async def test_a_lane_that_closes_with_a_full_queue_lets_its_partition_be_fetched_again() -> None:
    """Its partition may come back; and while one is held, the fetcher wakes a hundred times a second."""
    around = Around(settings=EngineSettings(queue_records=2))
    around.may_load.clear()
    lane = new_lane(around)
    lane.start()
    lane.receive(chunk(0, "1", "2", "3"))
    assert around.held == [True]

    await lane.close()

    assert around.held == [True, False]
