"""
The event log on Kafka: idempotent producers, acks=all, and an acknowledgement for every record.

Records of all requests that wait at the same time share batches: each topic partition has one batch in flight and
one that fills, which goes out when the former is acknowledged. So batches grow with the load, and there is one
future a request instead of one a record.

What can go wrong, and what then happens:

- Kafka is slow or away: aiokafka repeats by itself, for ever, in order and without doubling. Requests get
  `Retryable` after `ack_timeout_s`, and at once while `in_flight_bytes` are waiting. What waited lands when Kafka is
  back; its senders repeat it under the same ids.
- A partition is slow: after `suspect_after_s` its next batch goes by a producer of its own and all others by a new one
  (`routes.py` says why). Once that batch too is older than `stall_after_s`, `stalled` names the records of the partition; the
  others go on.
- A batch fails for good: its producer is useless from then on, since the sequence numbers of that partition have a
  hole. All requests that wait for that producer get `Retryable`, and a new one takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from aiokafka.errors import KafkaError

from schemas.topics import TOPICS
from services.ingest.batches import Batch, Lane, Ticket
from services.ingest.memory import RECORD_OVERHEAD
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import Bounds, LogRecord
from services.ingest.routes import Route, abandon
from services.shared.errors import Fatal, Retryable
from services.shared.kafka import clients, topics
from services.shared.kafka.clocks import apart_ms, leader_of
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

WRITES = ("usage-events", "usage-unattributed", "usage-rejected")
_REMEMBERED_KEYS = 200_000
_REMEMBERED_KEY_BYTES = 64
_LOOK_EVERY_S = 0.1
_PROBE_EVERY_S = 1.0
_QUIET_S = 2.0
_CLOCK_EVERY_S = 1.0
_CLOCK_KEPT_S = 600.0
_LANE_SHARE = 8
"""The part of `in_flight_bytes` that one partition may have: an eighth."""
_SOLOS = 4
"""Partitions that may have a producer of their own at a time."""
_LEFT_BEHIND = 4
"""Producers that may be waiting for what a slow partition has not acknowledged; then no new one is made."""


class KafkaEventLog:
    """See the module. Not for use from two event loops; `start` once, `close` once."""

    def __init__(
        self,
        kafka: KafkaSettings,
        bounds: Bounds,
        metrics: IngestMetrics,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._clock_ms = clock_ms
        self._kafka = kafka
        self._bounds = bounds
        self._metrics = metrics
        self._main: Route | None = None
        self._left_behind: set[Route] = set()
        self._solos = 0
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._shut: set[Lane] = set()
        self._in_flight = 0
        self._tickets: dict[Ticket, None] = {}
        self._partition_of: dict[bytes, int] = {}
        self._renewing = False
        self._last_ack = self._last_sign = time.monotonic()
        self._compared: dict[str, float] = {}
        self._connected = False
        self._reason: str | None = "not connected to Kafka yet"
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets a `Fatal` when the cluster can never be written to as it is configured."""

    def start(self) -> None:
        """Begin to connect; `not_ready` tells when that is done."""
        self._renew()
        self._background(self._look())
        self._background(self._probe())

    async def close(self) -> None:
        """Stop taking records, wait until what was taken is acknowledged or cannot be, and leave."""
        self._closing = True
        waiting = [ticket.done for ticket in self._tickets]
        if waiting:
            await asyncio.wait(waiting, timeout=self._bounds.ack_timeout_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        routes = {self._main, *self._left_behind, *(lane.solo for lane in self._lanes.values())} - {None}
        self._main = None
        await asyncio.gather(*(abandon(route.producer, within_s=2.0) for route in routes if route))

    def largest_record(self, topic: str) -> int:
        """Return how many bytes key and value of one record may have together."""
        return TOPICS[topic].max_message_bytes - RECORD_OVERHEAD

    def not_ready(self) -> str | None:
        """Return why the log takes nothing, or hardly anything, now, in words; None where it does."""
        reason = self._closed()
        if reason is not None:
            return reason
        now = time.monotonic()
        silent, limit = now - self._last_ack, self._bounds.stall_after_s
        held = self._main.held if self._main else {}
        if silent > limit and (any(lane.slow for lane in self._lanes.values()) or _older(held, now - limit)):
            return f"Kafka has not acknowledged for {silent:.0f} s"
        return None

    def slow(self) -> list[str]:
        """Return the partitions that take nothing now, as `topic/partition`."""
        return sorted(f"{name}/{partition}" for (name, partition), lane in self._lanes.items() if lane in self._shut)

    def wedged(self) -> str | None:
        """Return why a new process might do better, in words: nothing was heard of Kafka for `wedged_after_s`."""
        silent = time.monotonic() - self._last_sign
        return f"nothing was heard of Kafka for {silent:.0f} s" if silent > self._bounds.wedged_after_s else None

    def stalled(self, records: Sequence[LogRecord]) -> list[int]:
        """Return the positions of the records whose partition takes nothing now, nearly always none."""
        if not self._shut:
            return []
        return [index for index, record in enumerate(records) if self._lane_for(record) in self._shut]

    async def append(self, records: Sequence[LogRecord]) -> None:
        """Write all records; return once all in-sync replicas have each of them. See `EventLog.append`."""
        if not records:
            return
        reason = self._closed()
        main = self._main
        if reason is not None or main is None:
            raise Retryable(reason or "not connected to Kafka", self._wait_before_retry())
        if self.stalled(records):
            raise Retryable("the partition does not acknowledge", self._wait_before_retry())
        loop = asyncio.get_running_loop()
        ticket = Ticket(loop.create_future())
        self._tickets[ticket] = None
        now = time.monotonic()
        for record in records:
            self._add(main, record, ticket, now)
        self._metrics.in_flight_bytes.set(self._in_flight)
        expiry = loop.call_later(self._bounds.ack_timeout_s, self._expire, ticket)
        try:
            await ticket.done
        finally:
            expiry.cancel()
            self._tickets.pop(ticket, None)

    def _closed(self) -> str | None:
        """Return why nothing at all is taken."""
        if self._closing:
            return "shutting down"
        if self._reason is not None:
            return f"Kafka is away since {time.monotonic() - self._last_sign:.0f} s: {self._reason}"
        # What slow partitions hold takes at most half of the room from the others, however much it is.
        half = self._bounds.in_flight_bytes // 2
        held = sum(lane.bytes for lane in self._shut) if self._shut else 0
        if self._in_flight - held >= self._bounds.in_flight_bytes - min(held, half):
            return f"{self._in_flight} bytes wait for Kafka already"
        return None

    def _expire(self, ticket: Ticket) -> None:
        ticket.failed(
            Retryable(f"Kafka did not acknowledge within {self._bounds.ack_timeout_s:g} s", self._wait_before_retry())
        )

    def _add(self, main: Route, record: LogRecord, ticket: Ticket, now: float) -> None:
        lane = self._lane_for(record)
        batch = lane.batches[-1] if lane.batches else None
        if batch is None or batch.builder.append(timestamp=None, key=record.key, value=record.value) is None:
            batch = Batch(main.producer.create_batch(), now)
            batch.builder.append(timestamp=None, key=record.key, value=record.value)
            lane.batches.append(batch)
        if ticket not in batch.tickets:
            batch.tickets[ticket] = None
            ticket.missing += 1
        size = len(record.key) + len(record.value) + RECORD_OVERHEAD
        batch.size += size
        lane.bytes += size
        self._in_flight += size
        if lane.bytes > self._bounds.in_flight_bytes // _LANE_SHARE:
            self._shut.add(lane)
        if lane.sending is None:
            lane.sending = self._background(self._send(lane))

    def _lane_for(self, record: LogRecord) -> Lane:
        partition = self._partition_of.get(record.key)
        if partition is None:
            partition = partition_for(record.key, self._kafka.partitions)
            if len(record.key) <= _REMEMBERED_KEY_BYTES:
                if len(self._partition_of) >= _REMEMBERED_KEYS:
                    self._partition_of.clear()
                self._partition_of[record.key] = partition
        lane = self._lanes.get((record.topic, partition))
        if lane is None:
            lane = self._lanes[record.topic, partition] = Lane(topics.full_name(self._kafka, record.topic), partition)
        return lane

    async def _send(self, lane: Lane) -> None:
        route: Route | None = None
        try:
            await asyncio.sleep(self._bounds.linger_s)
            while lane.batches:
                route = await self._own_route(lane) if lane.suspect else self._main
                if route is None or not lane.batches:
                    break
                batch = lane.batches.popleft()
                # Closed before it is handed over: a record added between aiokafka's count of the batch and its
                # encoding would break the sequence of the partition.
                batch.builder.close()
                batch.route, batch.sent, batch.sent_ms = route, time.monotonic(), self._clock_ms()
                lane.head = batch
                lane.freed = asyncio.get_running_loop().create_future()
                lane.handed[batch] = route.held[batch] = None
                delivered = await route.producer.send_batch(batch.builder, lane.topic, partition=lane.partition)
                delivered.add_done_callback(partial(self._delivered, lane, batch))
                await lane.freed
        except Exception as error:  # noqa: BLE001 - whatever it is, this producer's sequence has a hole now
            if route is not None:
                self._give_up(route, error)
        finally:
            lane.sending = None

    def _delivered(self, lane: Lane, batch: Batch, delivered: asyncio.Future[Any]) -> None:
        route = batch.route
        if route is None or batch not in route.held:
            return
        error = asyncio.CancelledError() if delivered.cancelled() else delivered.exception()
        if error is not None:
            self._give_up(route, error)
            return
        now = self._last_ack = self._last_sign = time.monotonic()
        self._compare(lane, batch, route, delivered.result(), now)
        self._settle(lane, batch)
        for ticket in batch.tickets:
            ticket.acknowledged()
        # Where its former batch is still with the common producer, that one would hold it up again.
        if lane.suspect and (
            not lane.handed or (route is lane.solo and all(b.route is not self._main for b in lane.handed))
        ):
            self._clear(lane)
        if lane.head is batch:
            lane.free()
        if route in self._left_behind and not route.held:
            self._left_behind.discard(route)
            self._background(abandon(route.producer))

    def _settle(self, lane: Lane, batch: Batch) -> None:
        lane.handed.pop(batch, None)
        if batch.route is not None:
            batch.route.held.pop(batch, None)
        lane.bytes -= batch.size
        self._in_flight -= batch.size
        self._metrics.in_flight_bytes.set(self._in_flight)
        if not lane.slow and lane in self._shut and lane.bytes <= self._bounds.in_flight_bytes // _LANE_SHARE:
            self._shut.discard(lane)

    def _give_up(self, route: Route, error: BaseException) -> None:
        """Fail all that waits for a producer, and for none yet; replace it."""
        if route not in {self._main, *self._left_behind, *(lane.solo for lane in self._lanes.values())}:
            return
        log.error("producer_replaced", extra={"error": repr(error), "waiting": len(route.held)})
        self._metrics.producer_restarts.inc()
        main = route is self._main
        for lane in self._lanes.values():
            lost = [batch for batch in lane.handed if batch.route is route]
            if main or lane.solo is route:
                lost += lane.batches
                lane.batches.clear()
            for batch in lost:
                self._settle(lane, batch)
                for ticket in batch.tickets:
                    ticket.failed(Retryable(f"Kafka failed while writing ({type(error).__name__})", 1.0))
            if lane.head in lost:
                lane.free()
            if lane.suspect and (lane.solo is route or not lane.handed):
                self._clear(lane)
        self._left_behind.discard(route)
        self._background(abandon(route.producer))
        if main:
            self._main = None
            self._reason = f"the connection to Kafka is being renewed after {type(error).__name__}"
            self._renew()

    def _renew(self) -> None:
        if not self._renewing:
            self._renewing = True
            self._background(self._connect())

    async def _connect(self) -> None:
        """Make the producer that all partitions share; where there is one it stays with what it holds."""
        try:
            route = await self._new_route(lambda: True)
        finally:
            self._renewing = False
        if route is None:
            return
        former, self._main = self._main, route
        if former is not None:
            if former.held:
                self._left_behind.add(former)
            else:
                self._background(abandon(former.producer))
        self._last_sign = time.monotonic()
        self._reason = None
        log.info("connected", extra={"bootstrap": self._kafka.bootstrap_servers})

    async def _new_route(self, wanted: Callable[[], bool]) -> Route | None:
        """Return a producer that has started; None where it is no longer wanted, or never will be of use."""
        waiting = False
        while wanted():
            producer = clients.producer(self._kafka, max_batch_size=self._bounds.batch_bytes, linger_ms=0)
            try:
                await producer.start()
                if not self._connected:
                    problems = await topics.check(self._kafka, [TOPICS[name] for name in WRITES])
                    if problems:
                        await abandon(producer)
                        self._fail("; ".join(problems))
                        return None
                    self._connected = True
                for name in WRITES:
                    await producer.partitions_for(topics.full_name(self._kafka, name))
            except (KafkaError, OSError, TimeoutError) as error:
                if self._main is None:
                    self._reason = f"no Kafka broker answers at {self._kafka.bootstrap_servers}"
                if not waiting:
                    waiting = True
                    log.warning("waiting_for_broker", extra={"error": repr(error)})
                await abandon(producer)
                await asyncio.sleep(0.25)
            except asyncio.CancelledError:
                await abandon(producer)
                raise
            else:
                return Route(producer)
        return None

    async def _own_route(self, lane: Lane) -> Route | None:
        """Return a producer for a suspect partition alone, once there may be one; the common one once it is cleared."""

        def wanted() -> bool:
            return lane.suspect and lane.solo is None

        while wanted():
            if self._solos >= _SOLOS or self._renewing:
                await asyncio.sleep(_LOOK_EVERY_S)
                continue
            self._solos += 1
            route = None
            try:
                route = await self._new_route(wanted)
            finally:
                if route is None:
                    self._solos -= 1
            if route is not None:
                lane.solo = route
                if not lane.suspect:
                    self._clear(lane)
        return lane.solo or self._main

    def _clear(self, lane: Lane) -> None:
        """Treat a partition as all others again."""
        lane.suspect = lane.slow = False
        self._shut.discard(lane)
        if lane.solo is not None:
            solo, lane.solo = lane.solo, None
            self._solos -= 1
            if solo.held:
                self._left_behind.add(solo)
            else:
                self._background(abandon(solo.producer))
        log.info("partition_goes_on", extra={"topic": lane.topic, "partition": lane.partition})
        self._tell()

    async def _look(self) -> None:
        """Find the partitions that take long, and see to it that nobody else waits for them."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            now = time.monotonic()
            for lane in self._lanes.values():
                head = lane.head
                if head is not None and not lane.suspect and now - head.sent > self._bounds.suspect_after_s:
                    lane.suspect = True
                    log.warning("partition_is_slow", extra={"topic": lane.topic, "partition": lane.partition})
                    lane.free()
                since = lane.waiting_since()
                slow = lane.suspect and since is not None and now - since > self._bounds.stall_after_s
                if slow and not lane.slow:
                    lane.slow = True
                    self._shut.add(lane)
                    self._tell()
            main = self._main
            if main is None or self._renewing or len(self._left_behind) >= _LEFT_BEHIND:
                continue
            if _older(main.held, now - self._bounds.suspect_after_s):
                self._renew()

    def _tell(self) -> None:
        for name in WRITES:
            slow = sum(lane.slow for (topic, _), lane in self._lanes.items() if topic == name)
            self._metrics.slow_partitions.labels(name).set(slow)

    def _fail(self, reason: str) -> None:
        self._reason = reason
        if not self.failed.done():
            self.failed.set_exception(Fatal(reason))

    async def _probe(self) -> None:
        """Ask the cluster for its metadata while nothing is acknowledged, so that readiness is true when idle too."""
        while True:
            await asyncio.sleep(_PROBE_EVERY_S)
            main = self._main
            if main is None or time.monotonic() - self._last_ack < _QUIET_S:
                continue
            alive = False
            with contextlib.suppress(TimeoutError, KafkaError):
                alive = await asyncio.wait_for(main.producer.client.force_metadata_update(), 5.0)
            if alive:
                self._last_sign = time.monotonic()
            if main is self._main and not main.held:
                self._reason = None if alive else f"no Kafka broker answers at {self._kafka.bootstrap_servers}"

    def _compare(self, lane: Lane, batch: Batch, route: Route, stored: Any, now: float) -> None:
        """Compare clocks with the broker that leads a partition, once a second and broker."""
        if stored is None or stored.timestamp is None or stored.timestamp < 0:
            return  # the broker no longer knew when
        broker = leader_of(route.producer, lane.topic, lane.partition)
        if not broker or now - self._compared.get(broker, 0.0) < _CLOCK_EVERY_S:
            return
        self._compared[broker] = now
        apart = apart_ms(batch.sent_ms, stored.timestamp, self._clock_ms())
        self._metrics.clock_apart_seconds.labels(broker).set(apart / 1000)
        for gone in [name for name, at in self._compared.items() if now - at > _CLOCK_KEPT_S]:
            del self._compared[gone]
            self._metrics.clock_apart_seconds.remove(gone)

    def _wait_before_retry(self) -> float:
        """Return seconds: one for a short jam, longer the longer Kafka has been away."""
        waiting = (batch.created for lane in self._lanes.values() for batch in (*lane.handed, *lane.batches))
        now = time.monotonic()
        return min(30.0, max(1.0, (now - min(waiting, default=now)) / 2))

    def _background(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _older(batches: dict[Batch, None], than: float) -> bool:
    return any(batch.sent < than for batch in batches)
