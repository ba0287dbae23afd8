"""What a processor may rely on, whichever way it is run: one suite, over the log in memory and over a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from prometheus_client import CollectorRegistry

from services.shared.engine.errors import (
    EXIT_FAIL_STOP,
    ChangelogBehind,
    NotThisVersion,
    SourceGap,
    SourceRecreated,
    TooManyRaises,
    Unanswered,
)
from services.shared.engine.memory import Cuts, MemoryRunner
from services.shared.engine.memory_log import MemoryLog
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.processor import Processor, SourceRecord
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.engine.worker import Worker
from services.shared.kafka.clients import admin
from services.shared.settings import ProcessSettings
from tests.support.counting.processor import CountingProcessor, counting_spec, read_count
from tests.support.counting.trial import CHANGELOG, DEAD, OUT, SIDE, SOURCE, Trial, trial

SPEC = counting_spec(SOURCE, CHANGELOG, OUT, DEAD, appends=SIDE)
LIMITS = {OUT: 100_000, CHANGELOG: 200_000, DEAD: 50_000}
Records = Iterable[tuple[str, str]]


@dataclass
class Found:
    """What is durable on the topics."""

    counts: dict[str, int]
    outputs: list[str]
    dead: list[tuple[str, str]]
    side: list[str]
    position: Position | None


def found(changelog: dict[bytes, bytes], outputs: list[bytes], dead: list[bytes], side: list[bytes]) -> Found:
    position = changelog.pop(POSITION_KEY, None)
    letters = [letter.split(b"|", 4) for letter in dead]
    return Found(
        {key.decode(): read_count(value) for key, value in sorted(changelog.items())},
        [o.decode() if len(o) < 100 else f"{len(o)} bytes" for o in outputs],
        [(letter[0].decode(), letter[3].decode()) for letter in letters],
        [s.decode() for s in side],
        None if position is None else Position.decode(position)[0],
    )


class Backend(Protocol):
    """One partition of source, and a way to fold it."""

    async def append(self, records: Records) -> None:
        """Put records on the source."""

    async def append_transaction(self, records: Records, *, abort: bool = False) -> None:
        """Put records on the source in a transaction, which leaves a marker behind them."""

    async def expire(self, before: int) -> None:
        """Delete what is on the source before an offset, as retention does."""

    async def recreate(self) -> None:
        """Delete the source and make it anew."""

    async def write_state(self, key: bytes, value: bytes) -> None:
        """Put a record on the changelog, as another version would."""

    async def fold(self, spec: LaneSpec = SPEC, until: int | None = None) -> Any:
        """Fold until everything (or so much) is durable; return why it stopped if it did before."""

    async def found(self) -> Found:
        """Read what is durable."""


class InMemory:
    """Chunks of three records, a transaction after each two chunks."""

    def __init__(self) -> None:
        self.log = MemoryLog(partitions=1)

    async def append(self, records: Records) -> None:
        for key, value in records:
            self.log.append(SOURCE, key.encode(), value.encode())

    async def append_transaction(self, records: Records, *, abort: bool = False) -> None:
        for key, value in records:
            if abort:
                self.log.mark(SOURCE, 0)
            else:
                self.log.append(SOURCE, key.encode(), value.encode())
        self.log.mark(SOURCE, 0)

    async def expire(self, before: int) -> None:
        self.log.trim(SOURCE, 0, before)

    async def recreate(self) -> None:
        self.log.recreate(SOURCE)

    async def write_state(self, key: bytes, value: bytes) -> None:
        self.log.append(CHANGELOG, key, value)

    async def fold(self, spec: LaneSpec = SPEC, until: int | None = None) -> Any:
        runner = MemoryRunner(
            self.log, [spec], Cuts(chunk=(3,), transaction=2), limits=LIMITS, max_raises=3, max_restores=8
        )
        try:
            runner.run()
        except (OSError, MemoryError):
            return EXIT_FAIL_STOP
        return runner.stopped(spec.topic)

    async def found(self) -> Found:
        values = self.log.values
        return found(self.log.latest(CHANGELOG), values(OUT), values(DEAD), values(SIDE))


class OnKafka:
    """A worker in this process, over a real broker."""

    def __init__(self, on: Trial, data: Path) -> None:
        self.trial = on
        self.data = data

    async def append(self, records: Records) -> None:
        await self.trial.produce((key.encode(), value.encode()) for key, value in records)

    async def append_transaction(self, records: Records, *, abort: bool = False) -> None:
        batch = [(key.encode(), value.encode()) for key, value in records]
        await self.trial.produce_transactions([batch], abort=[0] if abort else [])

    async def expire(self, before: int) -> None:
        async with admin(self.trial.kafka) as client:
            await client.delete_records({TopicPartition(self.trial.scoped(SOURCE), 0): RecordsToDelete(before)})

    async def recreate(self) -> None:
        await self.trial.recreate(SOURCE)

    async def write_state(self, key: bytes, value: bytes) -> None:
        from services.shared.kafka.clients import producer

        async with producer(self.trial.kafka) as client:
            await client.send_and_wait(self.trial.scoped(CHANGELOG), value, key, partition=0)

    async def fold(self, spec: LaneSpec = SPEC, until: int | None = None) -> Any:
        left: list[int] = []
        settings = EngineSettings(
            transaction_ms=20,
            chunk_records=3,
            transaction_bytes=1 << 16,
            max_raises=3,
            max_restores=8,
            session_timeout_s=3,
            heartbeat_s=0.5,
        )
        worker = Worker(
            "counting", [spec], self.trial.kafka, settings, CollectorRegistry(), ProcessSettings(data_dir=self.data),
            leave=left.append,
        )  # fmt: skip
        end = len(await self.trial.read(SOURCE)) if until is None else until
        running = asyncio.create_task(worker.run())

        def over() -> bool:
            lane = worker.lanes.of(spec.topic).get(0)
            stopped = lane is not None and lane.stopped is not None
            if until is not None and lane is not None and isinstance(lane.stopped, Unanswered):
                stopped = False  # it is to go on by itself
            return bool(left) or stopped or (lane is not None and lane.durable.offset >= end)

        async with asyncio.timeout(30):
            while not over():
                await asyncio.sleep(0.01)
        lane = worker.lanes.of(spec.topic).get(0)
        worker.stop()
        await asyncio.wait([running], timeout=30)
        return left[0] if left else lane.stopped if lane else None

    async def found(self) -> Found:
        read: dict[str, list[Any]] = {}
        for topic in (CHANGELOG, OUT, DEAD, SIDE):
            read[topic] = sorted(await self.trial.read(topic, complete=True), key=lambda r: r.offset)
        live = {r.key: r.value for r in read[CHANGELOG]}
        return found(live, *([r.value for r in read[topic]] for topic in (OUT, DEAD, SIDE)))


@asynccontextmanager
async def in_memory(_kafka: Any, _tmp: Path) -> AsyncIterator[Backend]:
    yield InMemory()


@asynccontextmanager
async def on_kafka(kafka: Any, tmp: Path) -> AsyncIterator[Backend]:
    async with trial(kafka().bootstrap, partitions=1, sizes=LIMITS) as on:
        yield OnKafka(on, tmp)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """Each test runs on both; the broker is only started for one of them."""
    make = in_memory if request.param == "memory" else on_kafka
    async with make(lambda: request.getfixturevalue("kafka"), tmp_path) as made:
        yield made


def with_core(make: Callable[[], Processor]) -> LaneSpec:
    return replace(SPEC, processor=lambda _partition: make())


class FailsOnce(CountingProcessor):
    """Raises an OSError in the fifth step of a long record, the first time only."""

    spent = False

    def _long(self, key: bytes, argument: bytes, step: int) -> Iterator[None]:
        for n, _ in enumerate(super()._long(key, argument, step), start=step):
            if n == 5 and not FailsOnce.spent:
                FailsOnce.spent = True
                raise OSError(28, "No space left on device")
            yield


class TestBackends:
    async def test_every_record_is_folded_once_and_every_output_written_once(self, backend: Backend) -> None:
        await backend.append(("a" if n % 3 else "b", str(n)) for n in range(60))

        assert await backend.fold() is None
        assert await backend.fold() is None  # a second worker finds everything done

        result = await backend.found()
        assert result.counts == {"a": 40, "b": 20}
        assert sorted(result.outputs) == sorted(["a:10", "a:20", "a:30", "a:40", "b:10", "b:20"])
        assert result.position == Position(60, 0)

    async def test_what_comes_later_goes_on_from_the_restored_state(self, backend: Backend) -> None:
        await backend.append(("a", str(n)) for n in range(15))
        await backend.fold()
        await backend.append(("a", str(n)) for n in range(15))
        await backend.fold()

        result = await backend.found()
        assert result.counts == {"a": 30}
        assert result.outputs == ["a:10", "a:20", "a:30"]

    async def test_poison_is_dead_lettered_with_its_original_and_the_rest_goes_on(self, backend: Backend) -> None:
        await backend.append([("a", "1"), ("a", "poison"), ("a", "poison-fold"), ("a", "2")])

        assert await backend.fold() is None

        result = await backend.found()
        assert result.counts == {"a": 2}
        assert result.dead == [("not_countable", "1"), ("not_foldable", "2")]

    async def test_a_raising_fold_leaves_no_trace_and_its_record_is_dead_lettered(self, backend: Backend) -> None:
        await backend.append([("a", "1"), ("b", "2"), ("a", "raise"), ("a", "3"), ("b", "raise"), ("b", "4")])

        assert await backend.fold() is None

        result = await backend.found()
        assert result.counts == {"a": 2, "b": 2}
        assert result.dead == [("fold_raised", "2"), ("fold_raised", "4")]

    async def test_a_record_that_asks_waits_for_an_answer_further_down_the_log(self, backend: Backend) -> None:
        await backend.append([("a", "1"), ("a", "ask"), ("a", "2")])

        assert isinstance(await backend.fold(), Unanswered)
        result = await backend.found()
        assert (result.counts, result.position, result.dead) == ({"a": 1}, Position(1, 0), [])

        await backend.append([("a", "answer"), ("a", "ask")])
        await backend.fold(until=4)
        result = await backend.found()
        assert (result.counts, result.position, result.dead) == ({"a": 4}, Position(4, 0), [])

    async def test_a_fold_that_raises_in_a_step_keeps_the_steps_before(self, backend: Backend) -> None:
        await backend.append([("a", "1"), ("a", "long:9:4"), ("a", "2")])

        assert await backend.fold() is None

        result = await backend.found()
        assert result.counts == {"a": 6}
        assert result.dead == [("fold_raised", "1")]

    async def test_too_many_raising_folds_in_a_row_stop_the_lane(self, backend: Backend) -> None:
        await backend.append([("a", "1"), *[("a", "raise")] * 2, ("a", "2"), *[("a", "raise")] * 3, ("a", "3")])

        assert isinstance(await backend.fold(), TooManyRaises)

        result = await backend.found()
        assert result.counts.get("a", 0) <= 2
        assert ("fold_raised", "6") not in result.dead

    async def test_a_long_fold_resumes_at_the_step_that_was_not_durable(self, backend: Backend) -> None:
        FailsOnce.spent = False
        spec = with_core(lambda: FailsOnce(0, OUT))
        await backend.append([("a", "1"), ("a", "long:25"), ("a", "2")])

        assert await backend.fold(spec) == EXIT_FAIL_STOP
        assert await backend.fold(spec) is None

        result = await backend.found()
        assert result.counts == {"a": 27}
        assert result.outputs == ["a:10", "a:20"]

    async def test_an_append_follows_its_transaction(self, backend: Backend) -> None:
        await backend.append([("a", "1"), ("a", "append"), ("a", "2")])

        assert await backend.fold() is None

        assert (await backend.found()).side == ["after:2"]

    @pytest.mark.parametrize("value", ["wide:150000", "fat:250000"])
    async def test_an_oversized_record_is_traced_to_the_one_that_made_it(self, backend: Backend, value: str) -> None:
        await backend.append([*[("a", str(n)) for n in range(12)], ("b", value), ("c", "1"), ("wide", "wide:90000")])

        assert await backend.fold() is None

        result = await backend.found()
        assert result.counts == {"a": 12, "c": 1, "wide": 1}
        assert result.dead == [("fold_raised", "12")]
        assert result.outputs == ["a:10", "90000 bytes"]

    async def test_an_original_too_large_for_the_dead_letters_is_cut(self, backend: Backend) -> None:
        spec = replace(SPEC, processor=lambda _p: RefusesLong(0, OUT))
        await backend.append([("a", "x" * 90_000), ("a", "1")])

        assert await backend.fold(spec) is None

        result = await backend.found()
        assert result.counts == {"a": 1}
        assert result.dead == [("too_long", "0")]

    async def test_state_of_a_newer_format_is_refused(self, backend: Backend) -> None:
        await backend.write_state(b"a", b"\x02" + bytes(8))
        await backend.append([("a", "1")])

        assert isinstance(await backend.fold(), NotThisVersion)

        assert (await backend.found()).position is None

    async def test_a_position_of_a_newer_format_is_refused(self, backend: Backend) -> None:
        await backend.write_state(POSITION_KEY, b"\x09newer")
        await backend.append([("a", "1")])

        assert isinstance(await backend.fold(), NotThisVersion)

    async def test_the_position_lies_behind_markers_and_aborted_records(self, backend: Backend) -> None:
        await backend.append_transaction([("a", "1")] * 3)
        await backend.append_transaction([("a", "lost")] * 2, abort=True)

        assert await backend.fold(IN_TRANSACTIONS, until=3) is None

        result = await backend.found()
        assert result.counts == {"a": 3}
        assert result.position == Position(3 + 1 + 2 + 1)

    async def test_what_retention_took_of_markers_is_no_gap(self, backend: Backend) -> None:
        await backend.append_transaction([("a", "1")] * 5)
        assert await backend.fold(IN_TRANSACTIONS, until=5) is None
        await backend.expire(before=6)

        assert await backend.fold(IN_TRANSACTIONS, until=6) is None
        await backend.append_transaction([("a", "2")])
        assert await backend.fold(IN_TRANSACTIONS, until=7) is None

        assert (await backend.found()).counts == {"a": 6}

    async def test_records_that_retention_took_are_a_gap(self, backend: Backend) -> None:
        await backend.append_transaction([("a", "1")] * 5)
        assert await backend.fold(IN_TRANSACTIONS, until=5) is None
        await backend.append_transaction([("a", "2")] * 2)
        await backend.expire(before=7)

        assert isinstance(await backend.fold(IN_TRANSACTIONS, until=9), SourceGap)

    async def test_a_source_that_was_made_anew_is_refused_though_it_has_outgrown_the_position(
        self, backend: Backend
    ) -> None:
        await backend.append([("a", "1")] * 5)
        assert await backend.fold() is None
        await backend.recreate()
        await backend.append([("a", "2")] * 9)

        assert isinstance(await backend.fold(), SourceRecreated)

        assert (await backend.found()).counts == {"a": 5}

    async def test_a_key_that_cannot_be_worked_on_is_set_apart_and_no_record_is_blamed(self, backend: Backend) -> None:
        await backend.append([("a", "1"), ("b", "break"), ("c", "2"), ("b", "3"), ("a", "4"), ("b", "5")])

        assert await backend.fold() is None
        await backend.append([("b", "6"), ("c", "7")])
        assert await backend.fold() is None

        result = await backend.found()
        assert result.counts == {"a": 2, "b": 1, "c": 2}
        assert result.dead == []

    async def test_a_key_at_fault_in_a_step_of_a_long_fold_costs_the_others_nothing(self, backend: Backend) -> None:
        await backend.append([("a", "1"), ("b", "break"), ("c", "break"), ("d", "2")])
        await backend.append([("x", "sweep")] * 6)

        assert await backend.fold() is None

        result = await backend.found()
        assert result.counts == {"a": 7, "b": 1, "c": 1, "d": 7}
        assert result.dead == []

    async def test_a_lane_that_is_restored_too_often_stops_whatever_the_causes(self, backend: Backend) -> None:
        for n in range(9):
            await backend.append([(f"k{n}", "break"), ("a", "1"), (f"k{n}", "2"), ("a", "1")])

        assert isinstance(await backend.fold(), TooManyRaises)

        assert (await backend.found()).dead == []

    async def test_a_record_of_a_newer_version_stops_the_lane_until_one_comes_that_knows_it(
        self, backend: Backend
    ) -> None:
        def newer() -> CountingProcessor:
            processor = CountingProcessor(0, OUT)
            processor.version = 2
            return processor

        await backend.append([("a", "1"), ("a", "version:2"), ("a", "3")])

        assert isinstance(await backend.fold(), NotThisVersion)
        before = await backend.found()
        assert isinstance(await backend.fold(), NotThisVersion)
        assert await backend.fold(with_core(newer)) is None

        assert (before.counts, before.dead, before.position) == ({"a": 1}, [], Position(1))
        assert (await backend.found()).counts == {"a": 3}


IN_TRANSACTIONS = replace(SPEC, mode=SourceMode.TRANSACTIONAL)


class RefusesLong(CountingProcessor):
    """Calls long values poison."""

    def decode(self, record: SourceRecord) -> tuple[bytes, bytes]:
        from services.shared.errors import Poison

        if record.value and len(record.value) > 80_000:
            raise Poison("too_long", "value")
        return super().decode(record)


@pytest.mark.integration
async def test_aborted_records_of_a_transactional_source_are_not_counted(kafka: Any, tmp_path: Path) -> None:
    """Faust by itself reads uncommitted records: of 120 it counted here, 20 had been aborted."""
    spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD, mode=SourceMode.TRANSACTIONAL)
    async with trial(kafka.bootstrap, partitions=1) as on:
        backend = OnKafka(on, tmp_path)
        await on.produce_transactions([[(b"a", b"%d" % (i * 20 + n)) for n in range(20)] for i in range(6)], abort=[2])

        assert await backend.fold(spec, until=5 * 21 + 20) is None

        result = await backend.found()
        assert result.counts == {"a": 100}
        assert result.outputs == [f"a:{n}" for n in range(10, 101, 10)]


@pytest.mark.integration
async def test_a_fetch_that_holds_nothing_but_aborted_records_does_not_stop_a_lane(kafka: Any, tmp_path: Path) -> None:
    """Read again from where it stood, a lane would fetch the same nothing for ever."""
    spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD, mode=SourceMode.TRANSACTIONAL)
    async with trial(kafka.bootstrap, partitions=1) as on:
        backend = OnKafka(on, tmp_path)
        more_than_a_fetch = [(b"a", b"1" * 10_000) for _ in range(300)]
        await on.produce_transactions([[(b"a", b"1")] * 3, more_than_a_fetch, [(b"a", b"2")] * 2], abort=[1])

        assert await backend.fold(spec, until=4 + 301 + 2) is None

        assert (await backend.found()).counts == {"a": 5}


@pytest.mark.integration
async def test_a_lost_changelog_is_noticed_and_not_folded_over(kafka: Any, tmp_path: Path) -> None:
    async with trial(kafka.bootstrap, partitions=1) as on:
        backend = OnKafka(on, tmp_path)
        await backend.append(("a", str(n)) for n in range(20))
        assert await backend.fold() is None
        elsewhere = replace(SPEC, stores={"counts": SIDE})  # an empty changelog under the same group

        assert isinstance(await backend.fold(elsewhere), ChangelogBehind)
        assert (await backend.found()).side == []
