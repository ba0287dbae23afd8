"""
The event log on Kafka: one idempotent producer, acks=all, and an acknowledgement for every record.

Records of all requests that wait at the same time share batches: each topic partition has one batch in flight and
one that fills, which goes out when the former is acknowledged. So batches grow with the load, and there is one
future a request instead of one a record.

What can go wrong, and what then happens:

- Kafka is slow or away: aiokafka repeats by itself, for ever, in order and without doubling. Requests get
  `Retryable` after `ack_timeout_s`, and at once while the oldest batch is older than `stall_after_s` or
  `in_flight_bytes` are waiting. What waited lands when Kafka is back; its senders repeat it under the same ids.
- A batch fails for good: the producer is useless from then on, since the sequence numbers of that partition have a
  hole. All waiting requests get `Retryable`, and a new producer takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.topics import TOPICS
from services.ingest.memory import RECORD_OVERHEAD
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import Bounds, LogRecord
from services.shared.errors import ConfigurationError, Retryable
from services.shared.kafka import clients, topics
from services.shared.kafka.cause import find_cause
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

WRITES = ("usage-events", "usage-unattributed", "usage-rejected")
_REMEMBERED_KEYS = 200_000
_PROBE_EVERY_S = 1.0
_QUIET_S = 2.0
_ABANDON_WITHIN_S = 20.0


class _Ticket:
    """What one `append` waits for: a number of batches."""

    __slots__ = ("done", "missing")

    def __init__(self, done: asyncio.Future[None]) -> None:
        self.done = done
        self.missing = 0

    def acknowledged(self) -> None:
        self.missing -= 1
        if self.missing == 0 and not self.done.done():
            self.done.set_result(None)

    def failed(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Batch:
    """Records of one partition that travel together."""

    __slots__ = ("builder", "created", "size", "tickets")

    def __init__(self, builder: Any, created: float) -> None:
        self.builder = builder
        self.created = created
        self.size = 0
        self.tickets: dict[_Ticket, None] = {}


class _Lane:
    """The batches of one topic partition, the last of them still filling."""

    __slots__ = ("batches", "partition", "sending", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.batches: deque[_Batch] = deque()
        self.sending: asyncio.Task[None] | None = None


class KafkaEventLog:
    """See the module. Not for use from two event loops; `start` once, `close` once."""

    def __init__(self, kafka: KafkaSettings, bounds: Bounds, metrics: IngestMetrics) -> None:
        self._kafka = kafka
        self._bounds = bounds
        self._metrics = metrics
        self._producer: AIOKafkaProducer | None = None
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._outstanding: dict[_Batch, None] = {}
        self._in_flight = 0
        self._partition_of: dict[bytes, int] = {}
        self._last_ack = 0.0
        self._reason: str | None = "not connected to Kafka yet"
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._ever_connected = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets a `ConfigurationError` when the cluster can never be written to as it is configured."""

    def start(self) -> None:
        """Begin to connect; `not_ready` tells when that is done."""
        self._background(self._connect())
        self._background(self._watch())

    async def close(self) -> None:
        """Stop taking records, wait until what was taken is acknowledged or cannot be, and leave."""
        self._closing = True
        waiting = [ticket.done for batch in self._outstanding for ticket in batch.tickets]
        if waiting:
            await asyncio.wait(waiting, timeout=self._bounds.ack_timeout_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._producer is not None:
            await _abandon(self._producer, within_s=2.0)
            self._producer = None

    def largest_record(self, topic: str) -> int:
        """Return how many bytes key and value of one record may have together."""
        return TOPICS[topic].max_message_bytes - RECORD_OVERHEAD

    def not_ready(self) -> str | None:
        """Return why `append` would be refused now, in words; None where it would not."""
        if self._closing:
            return "shutting down"
        if self._reason is not None:
            return self._reason
        if self._in_flight >= self._bounds.in_flight_bytes:
            return f"{self._in_flight} bytes wait for Kafka already"
        age = self._oldest_age()
        if age > self._bounds.stall_after_s:
            return f"Kafka has not acknowledged for {age:.0f} s"
        return None

    async def append(self, records: Sequence[LogRecord]) -> None:
        """Write all records; return once all in-sync replicas have each of them. See `EventLog.append`."""
        if not records:
            return
        reason = self.not_ready()
        producer = self._producer
        if reason is not None or producer is None:
            raise Retryable(reason or "not connected to Kafka", self._wait_before_retry())
        loop = asyncio.get_running_loop()
        ticket = _Ticket(loop.create_future())
        now = time.monotonic()
        for record in records:
            self._add(producer, record, ticket, now)
        self._metrics.in_flight_bytes.set(self._in_flight)
        expiry = loop.call_later(self._bounds.ack_timeout_s, self._expire, ticket)
        try:
            await ticket.done
        finally:
            expiry.cancel()

    def _expire(self, ticket: _Ticket) -> None:
        ticket.failed(
            Retryable(f"Kafka did not acknowledge within {self._bounds.ack_timeout_s:g} s", self._wait_before_retry())
        )

    def _add(self, producer: AIOKafkaProducer, record: LogRecord, ticket: _Ticket, now: float) -> None:
        lane = self._lane_for(record)
        batch = lane.batches[-1] if lane.batches else None
        if batch is None or batch.builder.append(timestamp=None, key=record.key, value=record.value) is None:
            batch = _Batch(producer.create_batch(), now)
            batch.builder.append(timestamp=None, key=record.key, value=record.value)
            lane.batches.append(batch)
            self._outstanding[batch] = None
        if ticket not in batch.tickets:
            batch.tickets[ticket] = None
            ticket.missing += 1
        size = len(record.key) + len(record.value) + RECORD_OVERHEAD
        batch.size += size
        self._in_flight += size
        if lane.sending is None:
            lane.sending = self._background(self._send(producer, lane))

    def _lane_for(self, record: LogRecord) -> _Lane:
        partition = self._partition_of.get(record.key)
        if partition is None:
            if len(self._partition_of) >= _REMEMBERED_KEYS:
                self._partition_of.clear()
            partition = self._partition_of[record.key] = partition_for(record.key, self._kafka.partitions)
        lane = self._lanes.get((record.topic, partition))
        if lane is None:
            lane = self._lanes[record.topic, partition] = _Lane(topics.full_name(self._kafka, record.topic), partition)
        return lane

    async def _send(self, producer: AIOKafkaProducer, lane: _Lane) -> None:
        try:
            await asyncio.sleep(self._bounds.linger_s)
            while lane.batches:
                batch = lane.batches.popleft()
                # Closed before it is handed over: a record added between aiokafka's count of the batch and its
                # encoding would break the sequence of the partition.
                batch.builder.close()
                delivered = await producer.send_batch(batch.builder, lane.topic, partition=lane.partition)
                await delivered
                self._settle(batch)
                for ticket in batch.tickets:
                    ticket.acknowledged()
                self._last_ack = time.monotonic()
            lane.sending = None
        except Exception as error:  # noqa: BLE001 - whatever it is, this producer's sequence has a hole now
            self._replace(producer, error)

    def _settle(self, batch: _Batch) -> None:
        if self._outstanding.pop(batch, batch) is None:
            self._in_flight -= batch.size
            self._metrics.in_flight_bytes.set(self._in_flight)

    def _replace(self, producer: AIOKafkaProducer, error: Exception) -> None:
        if producer is not self._producer:
            return
        log.error("producer_replaced", extra={"error": repr(error), "waiting": len(self._outstanding)})
        self._metrics.producer_restarts.inc()
        self._reason = f"the connection to Kafka is being renewed after {type(error).__name__}"
        self._producer = None
        self._lanes = {}
        for batch in list(self._outstanding):
            self._settle(batch)
            for ticket in batch.tickets:
                ticket.failed(Retryable(f"Kafka failed while writing ({type(error).__name__})", 1.0))
        self._background(_abandon(producer))
        self._background(self._connect())

    async def _connect(self) -> None:
        waiting = False
        while True:
            producer = clients.producer(self._kafka, max_batch_size=self._bounds.batch_bytes, linger_ms=0)
            try:
                await producer.start()
                problems = await topics.check(self._kafka, [TOPICS[name] for name in WRITES])
                if problems:
                    await _abandon(producer)
                    self._fail(ConfigurationError(problems))
                    return
                for name in WRITES:
                    await producer.partitions_for(topics.full_name(self._kafka, name))
            except (KafkaError, OSError, TimeoutError) as error:
                await _abandon(producer)
                cause = await find_cause(self._kafka)
                why = cause.text if cause else repr(error)
                self._reason = f"no Kafka broker answers at {self._kafka.bootstrap_servers}: {why}"
                if cause and cause.lasting and not self._ever_connected:
                    self._fail(ConfigurationError([self._reason]))
                    return
                if not waiting:
                    waiting = True
                    log.warning("waiting_for_broker", extra={"cause": why})
                await asyncio.sleep(0.25)
                continue
            except asyncio.CancelledError:
                await _abandon(producer)
                raise
            self._producer = producer
            self._ever_connected = True
            self._last_ack = time.monotonic()
            self._reason = None
            log.info("connected", extra={"bootstrap": self._kafka.bootstrap_servers})
            return

    def _fail(self, error: ConfigurationError) -> None:
        self._reason = "; ".join(error.problems)
        if not self.failed.done():
            self.failed.set_exception(error)

    async def _watch(self) -> None:
        """Ask the cluster for its metadata while nothing is written, so that readiness is true when idle too."""
        while True:
            await asyncio.sleep(_PROBE_EVERY_S)
            producer = self._producer
            if producer is None or self._outstanding or time.monotonic() - self._last_ack < _QUIET_S:
                continue
            alive = False
            with contextlib.suppress(TimeoutError, KafkaError):
                alive = await asyncio.wait_for(producer.client.force_metadata_update(), 5.0)
            if producer is self._producer:
                self._reason = None if alive else f"no Kafka broker answers at {self._kafka.bootstrap_servers}"

    def _oldest_age(self) -> float:
        for batch in self._outstanding:
            return time.monotonic() - batch.created
        return 0.0

    def _wait_before_retry(self) -> float:
        """Return seconds: one for a short jam, longer the longer Kafka has been away."""
        return min(30.0, max(1.0, self._oldest_age() / 2))

    def _background(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _abandon(producer: AIOKafkaProducer, within_s: float = _ABANDON_WITHIN_S) -> None:
    """Stop a producer even where what it holds can no longer be delivered."""
    try:
        await asyncio.wait_for(producer.stop(), within_s)
    except (TimeoutError, KafkaError, OSError):
        sender = producer._sender  # noqa: SLF001 - stop() leaves it running when it times out
        if sender is not None and sender.sender_task is not None:
            sender.sender_task.cancel()
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(producer.client.close(), 5.0)
