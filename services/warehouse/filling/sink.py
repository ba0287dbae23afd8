"""
Fill the store from the topics: in batches bounded by rows, bytes and time, each partition in order, nothing twice.

The position is read back from the store, so that rows and position can never disagree: after a crash the sink
goes on behind the largest stored offset, and a row that is stored again replaces itself. If the last records of
a partition make no rows, the position is noted after the rows are stored; without the note these records would only be
read again. While one batch is stored, the next is decoded and a third one gathered. While the store is away, the sink holds
these three, keeps trying, and reads no further.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaError, OffsetOutOfRangeError

from services.shared.errors import Fatal, Retryable
from services.shared.kafka.clients import consumer as new_consumer
from services.shared.kafka.fetching.as_read import take_as_read
from services.shared.kafka.fetching.damage import damaged
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.domain.rows import TABLE_OF_TOPIC, Row
from services.warehouse.erasing import Erasing
from services.warehouse.filling import batch as batches
from services.warehouse.filling.lag import Lag
from services.warehouse.filling.sources import Sources, place_of
from services.warehouse.filling.stops import Stops
from services.warehouse.filling.store_calls import StoreCalls
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import FillingStore
from services.warehouse.settings import WarehouseSettings

log = logging.getLogger(__name__)

Positions = dict[tuple[str, int], int]
Messages = dict[tuple[str, int], list[Any]]
"""The messages of one batch, by partition, in offset order."""

_NOTE_EVERY_S = 10.0
_FORGET_EVERY_S = 3_600.0
_FETCH_BYTES = 32 * 1024 * 1024
_FETCH_AT_LEAST_BYTES = 64 * 1024
_FETCH_WAIT_MS = 100
"""Rows are stored a second later anyhow, so a fetch may wait for more: a fetch for each append would burden the broker."""

_POLL_RECORDS = 500
"""
Records taken from the fetcher at once. It returns what it has, however large, so this is how far a batch may exceed its
limit of bytes. An event is 32 KB at most, snapshots and signals are less.
"""

_ROUNDS = 2
"""Batches that are decoded or stored while one more is gathered."""


class KafkaSink:
    """One consumer of all topics of the warehouse, and its way into the store."""

    def __init__(
        self,
        kafka: KafkaSettings,
        settings: WarehouseSettings,
        store: FillingStore,
        metrics: WarehouseMetrics,
        tell: Callable[[Mapping[str, Sequence[Row]], bool], None] = lambda *_: None,
    ) -> None:
        """Call `tell` with the rows that were stored, by table, and whether anything was erased with them."""
        self._kafka = kafka
        self._tell = tell
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._erasing = Erasing(store, metrics)
        self._stored: Positions = {}
        self._noted: Positions = {}
        self._newest: dict[tuple[str, int], int] = {}
        self._noted_at = 0.0
        self._forgot_at = float("-inf")
        self._stops = Stops(metrics)
        self._decoding = asyncio.Lock()
        self._lag: Lag | None = None
        """None before it has started."""
        self._stop = asyncio.Event()
        self._calls = StoreCalls(metrics, self._stop)

    def not_ready(self) -> str | None:
        """Return what the sink waits for, None while records flow."""
        if stopped := self._stops.told():
            return stopped
        waits_for = self._calls.waits_for or (None if self._lag else "the sink has not started")
        unknown = self._lag.unknown(time.time()) if self._lag else None
        if waits_for or unknown is None:
            return waits_for
        return f"nobody can say where {unknown[0]}/{unknown[1]} ends: Kafka is away, or the partition has no leader"

    async def run(self, stop: asyncio.Event) -> None:
        """
        Read and store until `stop` is set; then store what was read.

        Raises:
            Misfit: the topics do not exist, or they are not those that the store was filled from.
        """
        self._stop = stop
        self._calls = StoreCalls(self._metrics, stop)
        reader = new_consumer(
            self._kafka,
            auto_offset_reset="none",
            fetch_max_bytes=_FETCH_BYTES,
            fetch_min_bytes=_FETCH_AT_LEAST_BYTES,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )
        await reader.start()
        whole = () if self._settings.accept_gap else TABLE_OF_TOPIC  # none is compacted
        take_as_read(reader, {self._kafka.scoped(topic) for topic in whole})
        try:
            sources = Sources(self._kafka, self._store, self._calls, self._metrics)
            partitions = await sources.partitions()
            reader.assign(partitions)
            await self._calls(self._erasing.learn)
            for tp, position in (await sources.positions(reader, partitions)).items():
                self._go_on(reader, tp, position)
            await self._note(everything=True)  # what is read back from rows must outlive them
            if await self._calls(self._erasing.apply):
                self._tell({}, True)  # answers of before the start may be kept
            self._lag = Lag(self._kafka, self._metrics, self._stored, self._newest)
            log.info("sink_started", extra={"partitions": len(partitions)})
            measuring = asyncio.create_task(self._lag.measure(reader, partitions))
            try:
                await self._flow(reader, partitions)
                await self._note(everything=True)
            finally:
                measuring.cancel()
        except Retryable:
            if not stop.is_set():
                raise
            log.warning("stopped_while_the_store_is_away")  # nothing is lost: positions are in the store
        finally:
            await reader.stop()

    def _go_on(self, reader: AIOKafkaConsumer, tp: TopicPartition, position: int) -> None:
        here = self._place(tp)
        self._stored[here], self._noted[here] = position, 0
        self._metrics.position.labels(*here).set(position)
        reader.seek(tp, position)

    async def _flow(self, reader: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Store one batch after the other; decode the next one and gather a third meanwhile."""
        rounds: deque[asyncio.Task[None]] = deque()
        try:
            while not self._stop.is_set():
                messages = await self._gather(reader)
                positions = {self._place(tp): await reader.position(tp) for tp in partitions}
                if len(rounds) == _ROUNDS:
                    await rounds.popleft()
                before = rounds[-1] if rounds else None
                rounds.append(asyncio.create_task(self._round(reader, messages, positions, before)))
            for each in rounds:
                await each
        finally:
            for each in rounds:
                each.cancel()
            await asyncio.gather(*rounds, return_exceptions=True)

    async def _round(
        self, reader: AIOKafkaConsumer, messages: Messages, positions: Positions, before: asyncio.Task[None] | None
    ) -> None:
        """Decode one batch, store it after the one before, and say where that leaves us."""
        async with self._decoding:  # in order: what a batch stops, the next one lacks
            batch = await self._decoded(reader, messages)
            positions = positions | {place: stop.offset for place, stop in self._stops.unknown.items()}
        if before is not None:
            await before
        if batch.rows:
            await self._write(batch)
        self._stored.update(positions)
        await self._note()

    async def _decoded(self, reader: AIOKafkaConsumer, messages: Messages) -> batches.Batch:
        """Make a batch of messages, and let go of them: three batches are held at a time."""
        for place in messages.keys() & self._stops.unknown:
            del messages[place]  # gathered before it was stopped, so beyond the record that stopped it
        batch = await self._calls.in_thread(lambda: batches.build(messages))
        messages.clear()
        for (topic, partition), stop in batch.stopped.items():
            self._stops.at_unknown((topic, partition), stop)
            reader.pause(TopicPartition(self._kafka.scoped(topic), partition))
        return batch

    async def _gather(self, reader: AIOKafkaConsumer) -> Messages:
        gathered: Messages = {}
        rows = size = 0
        limits = self._settings
        deadline = time.monotonic() + limits.batch_seconds
        while rows < limits.batch_rows and size < limits.batch_bytes and not self._stop.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                most = min(limits.batch_rows - rows, _POLL_RECORDS)
                fetched = await reader.getmany(timeout_ms=int(left * 1000) + 1, max_records=most)
            except OffsetOutOfRangeError as error:
                raise Fatal(f"retention passed the warehouse by, or a topic was made anew: {error}") from error
            except CorruptRecordException as error:
                await self._stop_at_damage(reader, error)
                continue
            except KafkaError as error:
                # What was gathered before is good, and positions have moved only past that.
                log.warning("fetch_failed", extra={"error": repr(error)})
                await self._calls.pause(0.25)
                continue
            for tp, messages in fetched.items():
                gathered.setdefault(self._place(tp), []).extend(messages)
                rows += len(messages)
                size += sum(len(message.value or b"") for message in messages)
        return gathered

    async def _stop_at_damage(self, reader: AIOKafkaConsumer, error: CorruptRecordException) -> None:
        """Read a partition with a batch that is not what was written no more. The others go on."""
        tp = damaged(error, reader.assignment())
        if tp is None:
            raise error
        self._stops.at_damage(self._place(tp), batches.Stop(await reader.position(tp), str(error)))
        reader.pause(tp)

    async def _write(self, batch: batches.Batch) -> None:
        stored: dict[str, Sequence[Row]] = {}

        def insert() -> None:
            # First: the position is in the rows, and an order before it must not be forgotten.
            self._erasing.note(batch.erasures)
            for table, rows in batch.rows.items():
                stored[table] = self._erasing.stored(table, rows)
                self._store.insert(table, stored[table])

        with self._metrics.insert.time():
            await self._calls(insert)
        now = time.time()
        self._metrics.batches.inc()
        for table, rows in batch.rows.items():
            self._metrics.rows.labels(table).inc(len(rows))
        for (topic, reason), count in batch.skipped.items():
            self._metrics.skipped.labels(topic, reason).inc(count)
        for (topic, _), appended_at in batch.oldest.items():
            self._metrics.delay.labels(topic).observe(max(0.0, now - appended_at / 1000))
        self._newest.update(batch.newest)
        self._tell(stored, await self._calls(self._erasing.apply))

    async def _note(self, *, everything: bool = False) -> None:
        """Note the positions now and then: rows do not show those of a quiet topic, and rows may be erased or expire."""
        now = time.monotonic()
        if not everything and now - self._noted_at < _NOTE_EVERY_S:
            return
        self._noted_at = now
        ahead = {place: offset for place, offset in self._stored.items() if offset > self._noted[place]}
        await self._calls(lambda: self._store.note_positions(ahead))
        self._noted.update(ahead)
        if now - self._forgot_at >= _FORGET_EVERY_S:
            self._forgot_at = now
            await self._calls(self._store.forget_orders)

    def _place(self, tp: TopicPartition) -> tuple[str, int]:
        return place_of(self._kafka, tp)
