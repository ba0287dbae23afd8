"""Two ways to run a processor, behind one port: over the log in memory, and over a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from prometheus_client import CollectorRegistry

from services.shared.engine.errors import EXIT_FAIL_STOP, Unanswered
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import Cuts, MemoryRunner
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.processor import Processor
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import AppendOrder, LaneSpec, SourceMode
from services.shared.engine.worker.worker import Worker
from services.shared.kafka.clients import admin, producer
from services.shared.settings import ProcessSettings
from tests.support.counting.processor import counting_spec, read_count
from tests.support.counting.trial import CHANGELOG, DEAD, OUT, SIDE, SOURCE, Trial, trial

SPEC = counting_spec(SOURCE, CHANGELOG, OUT, DEAD, appends=SIDE)
APPENDS_FIRST = replace(SPEC, appends=AppendOrder.BEFORE_COMMIT)
LIMITS = {OUT: 100_000, CHANGELOG: 200_000, DEAD: 50_000, SIDE: 100_000}
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
        async with producer(self.trial.kafka) as client:
            await client.send_and_wait(self.trial.scoped(CHANGELOG), value, key, partition=0)

    async def fold(self, spec: LaneSpec = SPEC, until: int | None = None, *, rebuild: bool = False) -> Any:
        left: list[int] = []
        settings = EngineSettings(
            transaction_ms=20,
            chunk_records=3,
            transaction_bytes=1 << 16,
            max_raises=3,
            max_restores=8,
            session_timeout_s=3,
            heartbeat_s=0.5,
            rebuild=rebuild,
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


IN_TRANSACTIONS = replace(SPEC, mode=SourceMode.TRANSACTIONAL)


def with_processor(make: Callable[[], Processor]) -> LaneSpec:
    return replace(SPEC, processor=lambda _partition: make())
