"""
The event log on Kafka: idempotent producers, acks=all, and an acknowledgement for every record.

Records of all requests that wait at the same time share batches: each topic partition has one batch in flight and
one that fills, which goes out when the former is acknowledged. So batches grow with the load, and there is one
future a request instead of one a record.

What can go wrong, and what then happens:

- Kafka is slow or away: aiokafka repeats by itself, for ever, in order and without doubling. Requests get
  `Retryable` after `ack_timeout_s`, and at once while `in_flight_bytes` are waiting. What waited lands when Kafka is
  back; its senders repeat it under the same ids.
- A partition is slow: after `suspect_after_s` its next batch goes by a producer of its own, unless that goes on with an
  `append` whose first records are still on their way, and all others by a new one (`producers.py` says why). Once what
  waits is older than `stall_after_s`, `stalled` names the records of the partition; the others go on.
- A topic is gone, or may not be written to any more: `absent` says so; its records are `stalled`, and the others go on.
- A topic takes smaller batches than its record says: what still fits goes on, the rest is `stalled` (`limits.py`).
- A batch fails for good: its producer is useless from then on, since the sequence numbers of that partition have a
  hole. All requests that wait for that producer get `Retryable`, and a new one takes its place.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import takewhile
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError

from schemas.topics import TOPICS, USAGE_DETAILS, USAGE_EVENTS
from services.ingest.event_log.batches import PartitionQueue, PendingBatch, Route, Ticket
from services.ingest.event_log.clocks import Clocks
from services.ingest.event_log.limits import TopicLimits
from services.ingest.event_log.memory import RECORD_OVERHEAD
from services.ingest.event_log.producers import Producers
from services.ingest.event_log.queues import Queues
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import LONGEST_WAIT_S, LogRecord, ProduceBounds
from services.shared.errors import Retryable
from services.shared.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)


_LOOK_EVERY_S = 0.1
_PROBE_EVERY_S = 1.0
_QUIET_S = 2.0


class KafkaEventLog:
    """See the module. Not for use from two event loops; `start` once, `close` once."""

    def __init__(
        self,
        kafka: KafkaSettings,
        bounds: ProduceBounds,
        metrics: IngestMetrics,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        absent: Callable[[], Mapping[str, str]] = dict,
        why: Callable[[], str] = str,
    ) -> None:
        """Take what tells the topics that are absent from the cluster now, each with what is wrong, and why brokers do not answer."""
        self._bounds = bounds
        self._metrics = metrics
        self._why = why
        self._clocks = Clocks(metrics, clock_ms)
        self._producers = Producers(kafka, bounds.batch_bytes)
        self._limits = TopicLimits(kafka)
        self._queues = Queues(kafka, bounds.in_flight_bytes, absent, self._limits, metrics)
        self._tickets: dict[Ticket, None] = {}
        self._departure: asyncio.Future[None] | None = None
        self._last_ack = time.monotonic()
        self._closing = False
        self.failed = self._producers.failed
        """Gets a `ConfigurationError` when the cluster can never be written to as it is configured."""

    def start(self) -> None:
        """Begin to connect; `not_ready` tells when that is done."""
        self._producers.renew()
        self._producers.background(self._look())
        self._producers.background(self._probe())
        self._producers.background(self._limits.run())

    async def close(self) -> None:
        """Stop taking records, wait until what was taken is acknowledged or cannot be, and leave."""
        self._closing = True
        waiting = [ticket.done for ticket in self._tickets]
        if waiting:
            await asyncio.wait(waiting, timeout=self._bounds.ack_timeout_s)
        await self._producers.close()

    def largest_record(self, topic: str) -> int:
        """Return how many bytes key and value of one record may have together."""
        return TOPICS[topic].max_message_bytes - RECORD_OVERHEAD

    def not_ready(self) -> str | None:
        """Return why the log takes nothing, or hardly anything, now, in words; None where it does."""
        absent = self._queues.absent()
        reason = absent.get(USAGE_EVENTS) or absent.get(USAGE_DETAILS) or self._closed()
        if reason is not None:
            return reason
        now = time.monotonic()
        silent, limit = now - self._last_ack, self._bounds.stall_after_s
        common = self._producers.common
        held = common is not None and common.holds_older(now - limit)
        if silent > limit and (held or any(queue.slow for queue in self._queues.by_partition.values())):
            return ": ".join(filter(None, (f"Kafka has not acknowledged for {silent:.0f} s", self._why())))
        return None

    def slow(self) -> list[str]:
        """Return the partitions that take nothing now, as `topic/partition`, after the topics that are absent."""
        return self._queues.slow()

    def wedged(self) -> str | None:
        """Return why a new process might do better, in words: nothing was heard of Kafka for `wedged_after_s`."""
        silent = time.monotonic() - self._producers.last_sign
        return f"nothing was heard of Kafka for {silent:.0f} s" if silent > self._bounds.wedged_after_s else None

    def stalled(self, records: Sequence[LogRecord]) -> list[int]:
        """Return the positions of the records whose partition takes nothing now, nearly always none."""
        return self._queues.stalled(records)

    async def append(self, records: Sequence[LogRecord]) -> None:
        """Write all records; return once all in-sync replicas have each of them. See `EventLog.append`."""
        if not records:
            return
        reason = self._closed()
        common = self._producers.common
        if reason is not None or common is None:
            raise Retryable(reason or "not connected to Kafka", self._wait_before_retry())
        if self.stalled(records):
            large = not all(map(self._limits.takes, records))
            why = "a record is larger than its topic takes now" if large else "the partition does not acknowledge"
            raise Retryable(why, self._wait_before_retry())
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        ticket = Ticket(loop.create_future(), now + self._bounds.ack_timeout_s)
        self._tickets[ticket] = None
        for record in records:
            self._add(common, record, ticket, now)
        try:
            await ticket.done
        finally:
            self._tickets.pop(ticket, None)

    def _closed(self) -> str | None:
        """Return why nothing at all is taken."""
        if self._closing:
            return "shutting down"
        if self._producers.reason is not None:
            return f"Kafka is away since {time.monotonic() - self._producers.last_sign:.0f} s: {self._producers.reason}"
        return self._queues.full()

    def _expire(self, now: float) -> None:
        """Give up on what has waited too long; the oldest come first, since all wait equally long."""
        for ticket in list(takewhile(lambda ticket: ticket.expires <= now, self._tickets)):
            ticket.failed(
                Retryable(
                    f"Kafka did not acknowledge within {self._bounds.ack_timeout_s:g} s", self._wait_before_retry()
                )
            )

    def _add(self, common: Route, record: LogRecord, ticket: Ticket, now: float) -> None:
        key, value = record.key, record.value
        queue = self._queues.of(record)
        batches = queue.batches
        batch = batches[-1] if batches else None
        size = len(key) + len(value) + RECORD_OVERHEAD
        limit = self._limits.lowered.get(record.topic)
        full = limit is not None and batch is not None and batch.size + size > limit
        if batch is None or full or batch.builder.append(timestamp=None, key=key, value=value) is None:
            follows = batch is not None and batch.newest is ticket
            batch = PendingBatch(common.producer.create_batch(), now, follows=follows)
            batch.builder.append(timestamp=None, key=key, value=value)
            batches.append(batch)
        if batch.newest is not ticket:
            batch.newest = ticket
            batch.tickets.append(ticket)
            ticket.missing += 1
        batch.size += size
        self._queues.add(queue, size)
        if queue.sending is None:
            queue.sending = self._producers.background(self._send(queue))

    async def _send(self, queue: PartitionQueue) -> None:
        route: Route | None = None
        try:
            while queue.batches:
                await self._departs()
                route = await self._own_route(queue) if queue.suspect else self._producers.common
                if route is None or not queue.batches:
                    break
                batch = queue.batches.popleft()
                # Closed before it is handed over: a record added between aiokafka's count of the batch and its
                # encoding would break the sequence of the partition.
                batch.builder.close()
                batch.route, batch.sent, batch.sent_ms = route, time.monotonic(), self._clocks.now_ms()
                queue.head = batch
                queue.freed = asyncio.get_running_loop().create_future()
                queue.handed[batch] = route.held[batch] = None
                delivered = await route.producer.send_batch(batch.builder, queue.topic, partition=queue.partition)
                delivered.add_done_callback(partial(self._delivered, queue, batch))
                await queue.freed
        except Exception as error:  # noqa: BLE001 - whatever it is, this producer's sequence has a hole now
            if route is not None:
                self._give_up(route, queue, error)
        finally:
            queue.sending = None

    def _departs(self) -> asyncio.Future[None]:
        """Return what is done when the next batches leave: all partitions together, so that one request takes them all."""
        if self._departure is None or self._departure.done():
            loop = asyncio.get_running_loop()
            self._departure = loop.create_future()
            loop.call_later(self._bounds.linger_s, _depart, self._departure)
        return self._departure

    def _delivered(self, queue: PartitionQueue, batch: PendingBatch, delivered: asyncio.Future[Any]) -> None:
        route = batch.route
        if route is None or batch not in route.held:
            return
        error = asyncio.CancelledError() if delivered.cancelled() else delivered.exception()
        if error is not None:
            self._give_up(route, queue, error)
            return
        now = self._last_ack = self._producers.last_sign = time.monotonic()
        self._clocks.compare(queue, batch, route, delivered.result(), now)
        self._settle(queue, batch)
        for ticket in batch.tickets:
            ticket.acknowledged()
        # Where its former batch is still with the common producer, that one would hold it up again.
        if queue.suspect and (
            not queue.handed
            or (route is queue.solo and all(b.route is not self._producers.common for b in queue.handed))
        ):
            self._clear(queue)
        if queue.head is batch:
            queue.free()
        self._producers.delivered(route)

    def _settle(self, queue: PartitionQueue, batch: PendingBatch) -> None:
        queue.handed.pop(batch, None)
        if batch.route is not None:
            batch.route.held.pop(batch, None)
        self._queues.remove(queue, batch.size)

    def _give_up(self, route: Route, failed: PartitionQueue, error: BaseException) -> None:
        """Fail all that waits for a producer, and for none yet; replace it."""
        if not self._producers.knows(route):
            return
        where = {"topic": failed.topic, "partition": failed.partition}
        log.error("producer_replaced", extra={**where, "error": repr(error), "waiting": len(route.held)})
        self._metrics.producer_restarts.inc()
        if isinstance(error, MessageSizeTooLargeError):
            self._limits.suspect()
        common = route is self._producers.common
        for queue in self._queues.by_partition.values():
            lost = [batch for batch in queue.handed if batch.route is route]
            if common or queue.solo is route:
                lost += queue.batches
                queue.batches.clear()
            elif queue.head in lost:
                lost += queue.followers()
            for batch in lost:
                self._settle(queue, batch)
                for ticket in batch.tickets:
                    ticket.failed(Retryable(f"Kafka failed while writing ({type(error).__name__})", 1.0))
            if queue.head in lost:
                queue.free()
            if queue.suspect and (queue.solo is route or not queue.handed):
                self._clear(queue)
        self._producers.give_up(route, f"the connection is being renewed after {type(error).__name__}")

    async def _own_route(self, queue: PartitionQueue) -> Route | None:
        """Return a producer for a suspect partition alone; the common one once it is cleared."""
        if queue.solo is None:
            queue.solo = await self._producers.solo(lambda: queue.suspect)
            if not queue.suspect:
                self._clear(queue)
        return queue.solo or self._producers.common

    def _clear(self, queue: PartitionQueue) -> None:
        """Treat a partition as all others again."""
        queue.suspect = queue.slow = False
        self._queues.shut.discard(queue)
        if queue.solo is not None:
            solo, queue.solo = queue.solo, None
            self._producers.leave(solo)
        log.info("partition_goes_on", extra={"topic": queue.topic, "partition": queue.partition})
        self._queues.tell_slow()

    async def _look(self) -> None:
        """Find the partitions that take long, and see to it that nobody else waits for them."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(_LOOK_EVERY_S)
            if time.monotonic() - before > 2 * _LOOK_EVERY_S:
                # The loop stood still, not Kafka: what was acknowledged meanwhile is read before anything is judged.
                await asyncio.sleep(_LOOK_EVERY_S)
            now = time.monotonic()
            self._expire(now)
            self._queues.tell_topics()
            for queue in self._queues.by_partition.values():
                head = queue.head
                if head is not None and not queue.suspect and now - head.sent > self._bounds.suspect_after_s:
                    queue.suspect = True
                    log.warning("partition_is_slow", extra={"topic": queue.topic, "partition": queue.partition})
                    queue.leave_behind()
                since = queue.waiting_since()
                slow = queue.suspect and since is not None and now - since > self._bounds.stall_after_s
                if slow and not queue.slow:
                    queue.slow = True
                    self._queues.shut.add(queue)
                    self._queues.tell_slow()
            common = self._producers.common
            if common is not None and common.holds_older(now - self._bounds.suspect_after_s):
                self._producers.renew()

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(_PROBE_EVERY_S)
            if time.monotonic() - self._last_ack >= _QUIET_S:
                await self._producers.probe()

    def _wait_before_retry(self) -> float:
        """
        Return seconds: one for a short jam, longer the longer Kafka has been away.

        SDKs count attempts, not time: some give up after ten. So each wait is as long as the outage has been.
        """
        waiting = (
            batch.created for queue in self._queues.by_partition.values() for batch in (*queue.handed, *queue.batches)
        )
        now = time.monotonic()
        since = min(waiting, default=now)
        if self._producers.reason is not None:
            since = min(since, self._producers.last_sign)
        return min(LONGEST_WAIT_S, max(1.0, now - since))


def _depart(departure: asyncio.Future[None]) -> None:
    if not departure.done():  # `close` cancels those that wait for it, and it with them
        departure.set_result(None)
