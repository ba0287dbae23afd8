"""The Kafka clients as Tidemark wants them: the settings that its guarantees rest on, in one place."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import CorruptRecordException, KafkaConnectionError, KafkaError, NodeNotReadyError
from aiokafka.protocol.metadata import MetadataRequest

from services.shared.errors import Fatal, Misfit
from services.shared.kafka.bootstrap import find_cluster
from services.shared.kafka.cause import find_cause
from services.shared.kafka.fetching.answers import heed_fetches
from services.shared.kafka.fetching.damage import positions, take_again
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_ANSWER_WITHIN_MS = 5_000
_NO_LIMIT = 1 << 30
"""How large a record may be is said by its topic (max.message.bytes); aiokafka's own limit is 1 MB, and some topics take more."""


class KeyPartitioner:
    """The Java client's default partitioner, remembered per key; keyless records must name their partition."""

    def __call__(self, key: bytes | None, all_partitions: list[int], available: list[int]) -> int:  # noqa: ARG002  aiokafka's call
        """Return the partition for `key` among all of the topic's, up or down."""
        if key is None:
            raise ValueError("a record without a key must name its partition")
        return all_partitions[partition_for(key, len(all_partitions))]


def producer(kafka: KafkaSettings, **options: Any) -> AIOKafkaProducer:
    """
    Return an unstarted idempotent producer: an acknowledged record is on every in-sync replica, once.

    `options` go to aiokafka and override what is set here.
    """
    connection = kafka.client_options()
    made = AIOKafkaProducer(
        **{
            **connection,
            "acks": "all",
            "enable_idempotence": True,
            "partitioner": KeyPartitioner(),
            "retry_backoff_ms": 10,
            "request_timeout_ms": 15_000,
            "max_request_size": _NO_LIMIT,
            **options,
        }
    )
    find_cluster(made.client, connection)
    return made


def transactional_producer(kafka: KafkaSettings, transactional_id: str, **options: Any) -> AIOKafkaProducer:
    """
    Return an unstarted producer of transactions; starting it fences every former one of the same id.

    `transactional_id` is given without the deployment's prefix. An open transaction is settled by the broker
    15 s after its producer fell silent.
    """
    made = producer(
        kafka, transactional_id=kafka.scoped(transactional_id), **{"transaction_timeout_ms": 15_000, **options}
    )
    _ask_another_coordinator(made.client)
    _note_quotas(made.client)
    return made


def throttled_s(producer: AIOKafkaProducer, since: float) -> float:
    """
    Return for how many seconds a quota has made a transactional producer wait, in the answer that said so last.

    0 if that was over by `since`, by the monotonic clock.
    """
    until, seconds = getattr(producer.client, "throttled", (since, 0.0))
    return float(seconds) if until > since else 0.0


def _note_quotas(client: AIOKafkaClient) -> None:
    """Note in `throttled` until when brokers take no more from a client, and for how long, which it is told and forgets."""
    ask = client.send

    async def send(node_id: int, request: Any, **options: Any) -> Any:
        answer = await ask(node_id, request, **options)
        if throttle_ms := getattr(answer, "throttle_time_ms", 0):
            seconds = throttle_ms / 1000
            client.throttled = time.monotonic() + seconds, seconds
        return answer

    client.send = send


def _ask_another_coordinator(client: AIOKafkaClient) -> None:
    """
    Have a producer ask another broker who coordinates its transactions where the one that it asks dies before it answers.

    aiokafka does so where it cannot connect. A connection that breaks ends the producer, and with it the process of a lane.
    """
    look_up = client.coordinator_lookup

    async def coordinator_lookup(kind: int, key: str) -> int:
        try:
            return int(await look_up(kind, key))
        except KafkaConnectionError as error:
            raise NodeNotReadyError(str(error)) from error

    client.coordinator_lookup = coordinator_lookup


class _Consumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """Loses nothing beside a damaged batch, and stops without a cancellation that nobody asked for."""

    async def start(self) -> None:
        """Connect, and heed what brokers answer to fetches."""
        await super().start()
        heed_fetches(self._fetcher)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        """
        Take what was fetched, as aiokafka does.

        Raises:
            CorruptRecordException: a batch is damaged; what was taken of other partitions comes again with the next call.
        """
        start = positions(self, self.assignment())
        try:
            found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = await super().getmany(
                *partitions, timeout_ms=timeout_ms, max_records=max_records
            )
        except CorruptRecordException:
            take_again(self, start)
            raise
        return found

    async def stop(self) -> None:
        """
        End the fetches, then all the rest.

        A fetch that has failed waits a moment before the next one. Where aiokafka cancels it in that moment, it hands its
        cancellation on to whoever stops the consumer: the task of a lane ended by it, and nobody was told.
        """
        fetcher = self._fetcher
        if fetcher is not None and not self._closed:
            for tasks in ({fetcher._fetch_task}, set(fetcher._pending_tasks)):  # noqa: SLF001
                for task in tasks:
                    task.cancel()
                if tasks:
                    await asyncio.wait(tasks)
            fetcher._pending_tasks.clear()  # noqa: SLF001
        await super().stop()


def consumer(kafka: KafkaSettings, *topics: str, **options: Any) -> AIOKafkaConsumer:
    """
    Return an unstarted consumer of `topics` (names without prefix): committed records only, from the start.

    It never commits offsets by itself. A `group_id` in `options` gets the deployment's prefix.
    """
    if options.get("group_id"):
        options["group_id"] = kafka.scoped(options["group_id"])
    connection = kafka.client_options()
    made = _Consumer(
        *(kafka.scoped(topic) for topic in topics),
        **{
            **connection,
            "isolation_level": "read_committed",
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "fetch_max_wait_ms": 50,
            **options,
        },
    )
    find_cluster(made._client, connection)  # noqa: SLF001
    return made


class _AdminClient(AIOKafkaAdminClient):  # type: ignore[misc]  # aiokafka.admin has no types
    """Asks for topics without creating those that do not exist, which brokers do by default for whoever names one."""

    async def describe_topics(self, topics: list[str] | None = None) -> list[Any]:
        """Return what the cluster says of topics by their full names, of one that does not exist an error code."""
        answer = await self._send_request(MetadataRequest(topics, allow_auto_topic_creation=False))
        described: list[Any] = answer.to_object()["topics"]
        return described


@asynccontextmanager
async def admin(kafka: KafkaSettings, **options: Any) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open an admin client and close it at the end."""
    connection = kafka.client_options()
    client = _AdminClient(**connection, **options)
    find_cluster(client._client, connection)  # noqa: SLF001
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def tell_log(cause: str) -> None:
    """Tell the log what is waited for."""
    log.warning("waiting_for_broker", extra={"cause": cause})


async def wait_for_broker(
    kafka: KafkaSettings, within_s: float = 300.0, tell: Callable[[str], None] = tell_log
) -> None:
    """
    Return once the cluster answers; a service that starts before its broker waits instead of crash-looping.

    `tell` is called with what is waited for, when that is known and again when it changes.

    Raises:
        Misfit: it can never answer as it is asked: a wrong password, a certificate that is not trusted.
        Fatal: it did not answer in time; the text says why, as far as can be known.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    told = ""
    while True:
        try:
            async with admin(kafka, request_timeout_ms=_ANSWER_WITHIN_MS) as client:
                await client.describe_cluster()
            return
        except (KafkaError, OSError) as error:
            cause = await find_cause(kafka)
            why = cause.text if cause else str(error) or repr(error)
            if cause and cause.lasting:
                raise Misfit([f"Kafka at {kafka.bootstrap_servers}: {why}"]) from error
            if loop.time() >= deadline:
                raise Fatal(
                    f"Kafka does not answer at {kafka.bootstrap_servers}: {why}."
                    " KAFKA_BOOTSTRAP_SERVERS says where Kafka is"
                ) from error
            if why != told:
                told = why
                tell(why)
            await asyncio.sleep(0.25)
