"""What the tests of lanes stand on: all that a lane needs of its worker, over a log in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from faust.types import TP
from prometheus_client import CollectorRegistry

from services.shared.engine.chunk import Chunk
from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.start import Bounds
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.kafka.changelog import Loaded
from services.shared.engine.lane.lane import Lane
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.position import POSITION_KEY, UNKNOWN_TOPIC, Position
from services.shared.engine.processor import Append, SourceRecord
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec
from services.shared.engine.worker.lanes import Lanes
from tests.support.counting.processor import counting_spec, read_count
from tests.support.waiting import until

SPEC = counting_spec("events", "state", "out", "dead", appends="side")


def patient(**bounds: Any) -> EngineSettings:
    """Return settings by which nothing is committed because its time has come, as long as a test waits for anything."""
    return EngineSettings(**bounds).model_copy(update={"transaction_ms": 600_000})


PATIENT = patient()
QUICK = EngineSettings(transaction_ms=1)


@dataclass
class Host:
    """Everything a lane needs, over a log in memory; what it is asked for is written down."""

    log: MemoryLog = field(default_factory=lambda: MemoryLog(partitions=2))
    settings: EngineSettings = QUICK
    limits: dict[str, int] = field(default_factory=dict)
    openings: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    asked: list[str] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    checks: list[Transaction] = field(default_factory=list)
    """The empty transactions by which the lane has asked whether it is still its own."""
    failed: list[BaseException] = field(default_factory=list)
    sought: list[int] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    earliest: int = 0
    end: int = 1 << 40
    committed: int | None = None
    before: Position | None = None
    """Where the transaction began with which the group committed; not said by default."""
    committed_ids: str = ""
    """The changelogs with which it committed."""
    topic_id: bytes = UNKNOWN_TOPIC
    may_load: asyncio.Event = field(default_factory=asyncio.Event)
    may_write: asyncio.Event = field(default_factory=asyncio.Event)
    write_error: Exception | None = None
    fenced: bool = False
    further: list[SourceRecord] = field(default_factory=list)
    """What lies further down the log, for a lane that looks ahead."""
    looked_to: int | None = None
    """The end of the log for a lane that looks ahead; None: as far as it has looked."""

    def __post_init__(self) -> None:
        self.may_load.set()
        self.may_write.set()

    def writer(self, spec: LaneSpec, partition: int) -> Any:
        host = self

        class Writer:
            async def start(self) -> None:
                host.asked.append("fence")

            async def write(self, transaction: Transaction) -> None:
                host.asked.append("write")
                await host.may_write.wait()
                if host.write_error:
                    raise host.write_error
                host.transactions.append(transaction)
                for (store, key), value in transaction.changes.items():
                    host.log.append(spec.stores[store], key, value, partition)
                for home in spec.stores.values():
                    host.log.append(home, POSITION_KEY, transaction.encoded_position(), partition)
                for output in transaction.outputs:
                    host.log.append(*output)

            async def still_owns(self, transaction: Transaction) -> bool:
                host.asked.append(f"holds {transaction.position.offset}")
                host.checks.append(transaction)
                if not host.fenced:
                    for home in spec.stores.values():
                        host.log.append(home, POSITION_KEY, transaction.encoded_position(), partition)
                return not host.fenced

            async def close(self) -> None:
                host.asked.append("close")

        return Writer()

    async def load(self, spec: LaneSpec, partition: int) -> Loaded:
        self.asked.append("load")
        await self.may_load.wait()
        return Loaded({store: self.log.latest(topic, partition) for store, topic in spec.stores.items()}, 0)

    async def bounds(self, _topic: str, _partition: int) -> Bounds:
        if self.committed is None:
            return Bounds(self.earliest, self.end, None, self.topic_id)
        committed = Committed(Position(self.committed), self.before, self.committed_ids)
        return Bounds(self.earliest, self.end, committed, self.topic_id)

    async def look_ahead(
        self, _topic: str, _partition: int, start: int, wanted: Callable[[SourceRecord], bool]
    ) -> tuple[SourceRecord | None, int]:
        self.asked.append(f"look {start}")
        found = next((record for record in self.further if record.offset >= start and wanted(record)), None)
        return found, start if self.looked_to is None else self.looked_to

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


async def turns(count: int = 50) -> None:
    """Give the other tasks so many turns: for what must not happen."""
    for _ in range(count):
        await asyncio.sleep(0)


def new_lane(host: Host, spec: LaneSpec = SPEC) -> Lane:
    return Lane(spec, 0, host, LaneMetrics(EngineMetrics(CollectorRegistry()), "events", 0))


async def running(host: Host, spec: LaneSpec = SPEC) -> Lane:
    lane = new_lane(host, spec)
    lane.start()
    await until(lambda: lane.ready or lane.stopped or host.failed)
    return lane


def new_lanes(host: Host) -> Lanes:
    return Lanes([SPEC], host, EngineMetrics(CollectorRegistry()))
