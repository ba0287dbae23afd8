"""
Follow the topics of events, and of what was refused or could not be applied, from their ends, for any number of watchers.

Promises: nothing is read while nobody watches. A turn looks at `_AT_A_TIME` records at most, so that following takes a small
part of a process that has other work. Where the log grows faster, the tail jumps to its end and tells how many records it
has passed over; of what a watcher wants, more than its share a second is counted and not shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import DEAD_LETTERS, USAGE_EVENTS, USAGE_REJECTED, USAGE_UNATTRIBUTED
from services.ingest.domain.arrivals import Arrival, Arrivals, Budget
from services.shared.errors import Fatal, UnknownVersion
from services.shared.kafka.reading import decoded, reader, record_of
from services.shared.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_TOPICS = (USAGE_EVENTS, USAGE_UNATTRIBUTED, USAGE_REJECTED, DEAD_LETTERS)
_TURN_S = 0.1
_AT_A_TIME = 400
_IN_A_ROW = 50
"""Records that are decoded before others have their turn."""
_BEHIND = 2_000
"""Records by which a partition may be behind before the tail jumps."""
_BACK = 50
"""Records before the end of a partition to which it jumps."""
_AGAIN_S = 1.0
_FETCH_BYTES = 256 * 1024


class News(msgspec.Struct, omit_defaults=True):
    """What a watcher gets at a time."""

    arrivals: list[Arrival]
    hidden: int = 0
    """Arrivals that it wants and that are more than its share."""
    passed: int = 0
    """Records of all sources at which nobody has looked."""
    problem: str = ""
    """Why nothing can be shown now; empty again once it can."""


class Watcher:
    """Who watches one source, or all of them (empty)."""

    def __init__(self, source: str, per_s: float) -> None:
        self.source = source
        self._budget = Budget(per_s, time.monotonic())
        self._most = int(4 * per_s)
        self._news = News([])
        self._some = asyncio.Event()
        self.begun = False
        """Whether everything from now on is seen."""

    def see(self, arrival: Arrival) -> None:
        """Take note of an arrival, if it is of the source."""
        if self.source and arrival.source != self.source:
            return
        if len(self._news.arrivals) < self._most and self._budget.take(time.monotonic()):
            self._news.arrivals.append(arrival)
        else:
            self._news.hidden += 1
        self._some.set()

    def tell(self, *, passed: int = 0, problem: str | None = None) -> None:
        """Take note of how the tail fares."""
        changed = problem is not None and problem != self._news.problem
        if problem is not None:
            self._news.problem = problem
        self._news.passed += passed
        if passed or changed:
            self._some.set()

    async def next(self, within_s: float) -> News | None:
        """Return what there is to tell, as soon as there is something; None where nothing was within that time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._some.wait()
        if not self._some.is_set():
            return None
        self._some.clear()
        news, self._news = self._news, News([], problem=self._news.problem)
        return news


class LogTail:
    """One for a process."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._watchers: set[Watcher] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def watched(self) -> int:
        """Return how many watch."""
        return len(self._watchers)

    @asynccontextmanager
    async def watch(self, source: str, per_s: float) -> AsyncIterator[Watcher]:
        """Watch a source, or all (empty), with at most so many arrivals a second on average."""
        watcher = Watcher(source, per_s)
        self._watchers.add(watcher)
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        else:
            watcher.begun = any(other.begun for other in self._watchers)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                await self.close()

    async def close(self) -> None:
        """Stop reading."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _follow(self) -> None:
        while True:
            try:
                await self._read()
            except Exception as error:  # one that ends this task would leave a tail that shows nothing and says nothing
                expected = isinstance(error, (KafkaError, OSError, Fatal))
                log.warning("live_tail_interrupted", exc_info=not expected, extra={"error": repr(error)})
                for watcher in self._watchers:
                    watcher.tell(problem=f"the log cannot be read: {str(error) or type(error).__name__}"[:300])
            await asyncio.sleep(_AGAIN_S)

    async def _read(self) -> None:
        arrivals = Arrivals()
        options = {"max_partition_fetch_bytes": _FETCH_BYTES, "fetch_max_bytes": 4 * _FETCH_BYTES}
        async with reader(self._kafka, *_TOPICS, **options) as (client, partitions):
            for partition, offset in (await client.end_offsets(partitions)).items():
                client.seek(partition, offset)
            for watcher in self._watchers:
                watcher.begun = True
                watcher.tell(problem="")
            while True:
                found = await client.getmany(timeout_ms=int(_TURN_S * 1000), max_records=_AT_A_TIME)
                # In the order of receipt, so that an event is seen without its account before it is seen with it.
                records = sorted((r for each in found.values() for r in each), key=lambda record: record.timestamp)
                for number, record in enumerate(records, 1):
                    self._look(record, arrivals)
                    if number % _IN_A_ROW == 0:
                        await asyncio.sleep(0)
                passed = await _jump(client, partitions)
                for watcher in self._watchers if passed else ():
                    watcher.tell(passed=passed)
                if len(records) >= _AT_A_TIME:
                    await asyncio.sleep(_TURN_S)

    def _look(self, record: ConsumerRecord[bytes, bytes], arrivals: Arrivals) -> None:
        try:
            kind = record_of(record.value)
            if kind not in ("usage_event", "dead_letter"):
                return
            value = decoded(record.value)[1]
        except UnknownVersion as error:
            for watcher in self._watchers:
                watcher.tell(passed=1, problem=str(error)[:300])
            return
        if not value:
            return
        arrival = arrivals.of_event(value) if kind == "usage_event" else arrivals.of_letter(value)
        for watcher in self._watchers:
            watcher.see(arrival)


async def _jump(client: AIOKafkaConsumer, partitions: list[TopicPartition]) -> int:
    """Go on near the end of each partition that is far behind it; return how many records were passed over."""
    passed = 0
    for partition in partitions:
        end = client.highwater(partition)
        if end is None:
            continue
        at = await client.position(partition)
        if end - at > _BEHIND:
            client.seek(partition, end - _BACK)
            passed += end - _BACK - at
    return passed
