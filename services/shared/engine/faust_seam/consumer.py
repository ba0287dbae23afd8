# ruff: noqa: SLF001 - this is the private seam, and the only one
"""
Faust's Kafka consumer with what it hard-codes set right: a private seam, held by contract tests.

- isolation level: Faust reads uncommitted records unless its own exactly_once is on;
- fetch_max_wait_ms: with 1500 the partitions that have records wait for those that have none;
- what a fetch covers, so that lanes can tell a hole in the log from records that got lost on the way;
- a batch whose checksum does not hold ends the consumer: only its partition is not read any more;
- records stay as aiokafka's C parser makes them (`services.shared.kafka.fetching.as_read`);
- stopping: it waits for a rebalance under way, and the interpreter waits for its thread;
- waiting: with all partitions full Faust sleeps a second and stops polling, and the group evicts the worker;
- SASL and TLS by the options that all other clients of the project use.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.threads import ServiceThread, WorkerThread

from services.shared.engine.chunk import Fetched
from services.shared.kafka.bootstrap import find_cluster
from services.shared.kafka.fetching.as_read import take_as_read
from services.shared.kafka.fetching.damage import damaged, positions, take_again

FETCH_MAX_WAIT_MS = 50
FETCH_MAX_BYTES = 16 << 20
"""The largest answer of a broker; the default is 52 MB."""
FOR_EVER_S = 10.0 * 365 * 86_400
"""
Faust's own limit for what it asks during a rebalance, such as for the committed offsets.

A wait that runs into it ends the task that resumes the streams, in silence and for good. So it waits until a broker answers, or
until the next rebalance.
"""
_REQUEST_WITHIN_S = 30.0
_STOP_WITHIN_S = 5.0
_REACTIVATION_S = 0.01
"""How soon a partition whose lane has room again is read from; a waiting fetch does not notice by itself."""


class _Expendable(WorkerThread):
    """A thread that the end of the process does not wait for."""

    def __init__(self, service: ServiceThread, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread in which the group's consumer lives."""

    Worker = _Expendable
    whole: Collection[str] = ()
    """The full names of topics in which nothing may be missing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.polled_at = time.monotonic()
        """When the thread last took up a poll; one that hangs, or waits behind a call that hangs, does not."""
        self._damaged: dict[TP, tuple[Any, str]] = {}
        """Partitions with a fetch that cannot be read, that fetch, and why."""

    async def on_thread_stop(self) -> None:
        """
        Stop, but wait only so long for a consumer that waits for its group.

        In the middle of a rebalance that is for as long as the slowest member takes. A static member does not leave
        the group anyhow, and what the lanes had to commit is committed.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_WITHIN_S):
                await super().on_thread_stop()

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        conf = self.app.conf
        self.whole = transport.whole
        self._assignor = self.app.assignor
        made = AIOKafkaConsumer(
            **transport.client_options,
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_bytes=max(FETCH_MAX_BYTES, conf.consumer_max_fetch_size),
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            request_timeout_ms=int(max(_REQUEST_WITHIN_S, conf.broker_session_timeout) * 1000),
            retry_backoff_ms=50,
            check_crcs=conf.broker_check_crcs,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
        )
        find_cluster(made._client, transport.client_options)
        return made

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> dict[TP, Fetched]:
        """Return what has been fetched of the active partitions, each with what it covers; wait for it up to a timeout."""
        self.polled_at = time.monotonic()
        if not self._flowing():
            return {}
        fetcher = consumer._fetcher
        take_as_read(consumer, self.whole)
        subscriptions = fetcher._subscriptions
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (timeout or 0.0)
        with subscriptions.fetch_context():
            while True:
                if consumer._closed or fetcher._closed:
                    raise ConsumerStoppedError
                if subscriptions.reassignment_in_progress:
                    await subscriptions.wait_for_assignment()
                if not self._flowing():
                    # A poll that has waited through a rebalance. Faust would drop what it returns and seek to the
                    # committed offsets, which does nothing where none was ever committed: records would be lost.
                    return {}
                wanted = set(active_partitions)
                if self._damaged:
                    wanted = {tp for tp in wanted if self.damaged(tp) is None}
                if wanted:
                    # Nothing is awaited between the two readings of the positions: without a timeout the call
                    # returns what is there.
                    start = positions(consumer, wanted)
                    try:
                        records = await fetcher.fetched_records(wanted, timeout=0, max_records=max_records)
                    except CorruptRecordException as error:
                        self._set_apart(consumer, start, error)
                        continue
                    end = positions(consumer, wanted)
                    # Where a fetch held aborted records and markers alone, the position has moved all the same.
                    moved = [tp for tp, at in start.items() if end.get(tp, at) > at]
                    if moved:
                        return {tp: Fetched(records.get(tp, ()), start[tp], end[tp]) for tp in moved}
                left = deadline - loop.time()
                if left <= 0:
                    return {}
                waiter = fetcher._create_fetch_waiter()
                _, pending = await asyncio.wait([waiter], timeout=left)
                if pending:
                    waiter.cancel()
                    return {}
                waiter.result()

    def _set_apart(self, consumer: AIOKafkaConsumer, start: Mapping[TP, int], error: CorruptRecordException) -> None:
        """
        Read the partition that an error names no more, and what was taken of others before it once more.

        Raises:
            CorruptRecordException: it names none.
        """
        records = consumer._fetcher._records
        named = damaged(error, records)
        if named is None:
            raise error
        self._damaged[TP(*named)] = records[named], str(error)
        take_again(consumer, start)

    def damaged(self, tp: TP) -> str | None:
        """Return why a partition is not read any more; None where it is: a seek, or another assignment, begins anew."""
        fetched, why = self._damaged.get(tp, (None, ""))
        if fetched is None:
            return None
        held = self._ensure_consumer()._fetcher._records.get(tp)
        return why if held is fetched and fetched._assignment.active else None

    def _flowing(self) -> bool:
        return self.consumer.flow_active

    async def touch(self) -> None:
        """Count as a poll without fetching: the worker is alive, only its lanes are full."""
        await self.call_thread(self._touch)

    async def _touch(self) -> None:
        self.polled_at = time.monotonic()
        with self._ensure_consumer()._fetcher._subscriptions.fetch_context():
            pass

    def highwater(self, tp: TP) -> int:
        """Return the end of what may be read, as the last fetch told; None before it."""
        return cast(int, self._ensure_consumer().last_stable_offset(tp))

    def written(self, tp: TP) -> int | None:
        """Return the same with what is in open transactions."""
        return cast("int | None", self._ensure_consumer().highwater(tp))

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Check nothing: Faust's detector compares clocks of two kinds; the engine has its own watchdog."""


class Consumer(driver.Consumer):
    """The main loop's side of the consumer."""

    _thread: ConsumerThread
    assigned_at = -1
    """The app's count of rebalances when partitions were last assigned: older news of completion are stale."""

    @property
    def polled_at(self) -> float:
        """When the consumer's thread last polled, by the monotonic clock."""
        return self._thread.polled_at

    @property
    def throttled_until(self) -> float:
        """Until when a broker makes the consumer wait because of a quota, or did so last, by the monotonic clock."""
        client = self._thread._consumer
        return getattr(client._fetcher._client, "throttled_until", 0.0) if client is not None else 0.0

    @property
    def member_id(self) -> str:
        """The id under which the broker knows this member, as far as it is known now; empty before the first join."""
        return str(getattr(self._coordinator, "member_id", ""))

    @property
    def group_error(self) -> BaseException | None:
        """Why the client stays out of its group, until it is polled or for ever; None while it takes part."""
        coordinator = self._coordinator
        if coordinator is None:
            return None
        if coordinator._pending_exception is not None:
            return cast(BaseException, coordinator._pending_exception)
        # Without either it goes on fetching, and learns of no rebalance.
        for task in (coordinator._coordination_task, coordinator._client._sync_task):
            if task is not None and task.done() and not coordinator._closing.done():
                return _end_of(task)
        return None

    def let_it_join(self) -> None:
        """
        Let the client join its group while the flow is stopped, however long that takes; call it again and again.

        Nothing polls from the revocation to the assignment. aiokafka joins no more once that has lasted for the poll interval, and
        nothing would poll before it has joined. Whoever calls shows that the main loop is alive.
        """
        client = self._thread._consumer
        if client is not None and not self.flow_active:
            client._fetcher._subscriptions._last_fetch_ended = time.monotonic()

    @property
    def _coordinator(self) -> Any:
        client = self._thread._consumer
        return client._coordinator if client is not None else None

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Note which rebalance this belongs to, before Faust tells anybody."""
        self.assigned_at = self.app.rebalancing_count
        await super().on_partitions_assigned(assigned, generation_id)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:
        if self.flow_active and not self.app.client_only and not self._get_active_partitions():
            await self._thread.touch()
            await asyncio.sleep(_REACTIVATION_S)
            return {}, self._get_active_partitions()
        return await super()._wait_next_records(timeout)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        return await super()._getmany(active_partitions, _REACTIVATION_S if self._buffered_partitions else timeout)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Check nothing; see ConsumerThread."""

    def covered(self, tp: TP) -> int | None:
        """Return how far a partition has been read, None if that is not known now."""
        return positions(self._thread._ensure_consumer(), {tp}).get(tp)

    def damaged(self, tp: TP) -> str | None:
        """Return why the next records of a partition cannot be read; None while nothing is known of that."""
        return self._thread.damaged(tp)

    def end(self, tp: TP) -> int | None:
        """Return the end of what may be read of a partition, as the last fetch told; None before it."""
        return self._thread.highwater(tp)

    def written(self, tp: TP) -> int | None:
        """Return where a partition ends with its open transactions, as the last fetch told; None before it."""
        return self._thread.written(tp)


def _end_of(task: asyncio.Task[None]) -> BaseException:
    """Return why a task ended that should not have."""
    error = None if task.cancelled() else task.exception()
    return error or ConsumerStoppedError(f"{task.get_coro()} has ended by itself")


class Producer(driver.Producer):
    """Faust starts a producer whether it is used or not; this one can at least log in, by whichever broker answers."""

    def _new_producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        made = super()._new_producer(transactional_id)
        find_cluster(made.client, cast(Transport, self.transport).client_options)
        return made

    def _settings_auth(self) -> Mapping[str, Any]:
        return cast(Transport, self.transport).client_options


class Transport(driver.Transport):
    """Faust's Kafka transport with the consumer above."""

    Consumer = Consumer
    Producer = Producer
    client_options: Mapping[str, Any] = {}
    """Connection arguments of every aiokafka client."""
    whole: Collection[str] = ()
    """The full names of topics in which nothing may be missing."""
