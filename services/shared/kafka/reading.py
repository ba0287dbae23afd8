"""
Read a topic from here to its present end, and stop: for tools that look at the log instead of following it.

Promises: every committed record between the two offsets, in offset order within a partition. Offsets that retention has
taken are passed over; `beginnings` tells where the topic starts now.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from schemas import codec
from services.shared.errors import Fatal, Retryable, UnknownVersion
from services.shared.kafka.clients import consumer
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topics import full_name

T = TypeVar("T")

TAIL = 64
"""Records from the end of each partition that are read at first; ever more where a key is not among them."""

PATIENCE_S = 180.0
"""So long nothing may come though the end is not reached: by default a transaction lasts 15 s, and a new leader is found in seconds."""

Offsets = dict[int, int]
"""Offset by partition."""


@asynccontextmanager
async def reader(
    kafka: KafkaSettings, *topics: str, **options: object
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    """
    Open a consumer that is assigned to all partitions of topics (names without prefix), and close it at the end.

    It reads committed records only, unless `options` say otherwise: on a topic without transactions these are all.

    Raises:
        Fatal: there is no such topic.
    """
    client = consumer(kafka, *topics, **options)
    try:
        try:
            await client.start()  # without a group it is assigned every partition there is
        except UnknownTopicOrPartitionError as error:
            names = " or ".join(full_name(kafka, topic) for topic in topics)
            raise Fatal(f"there is no topic {names}: run `tidemark topics create`") from error
        yield client, sorted(client.assignment())
    finally:
        await client.stop()


async def ends(kafka: KafkaSettings, topic: str, *, committed: bool = False) -> Offsets:
    """
    Return the end of each partition, records of open transactions included.

    Where `committed`, the end lies before the first record of a transaction that is open, so it splits none.

    Raises:
        Retryable: no broker tells it.
    """
    isolation = "read_committed" if committed else "read_uncommitted"
    async with reader(kafka, topic, isolation_level=isolation) as (client, partitions):
        return await _told(kafka, topic, client.end_offsets(partitions))


async def beginnings(kafka: KafkaSettings, topic: str) -> Offsets:
    """
    Return where each partition begins now.

    Raises:
        Retryable: no broker tells it.
    """
    async with reader(kafka, topic) as (client, partitions):
        return await _told(kafka, topic, client.beginning_offsets(partitions))


async def _told(kafka: KafkaSettings, topic: str, asked: Awaitable[Mapping[TopicPartition, int]]) -> Offsets:
    try:
        return by_partition(await asked)
    except KafkaTimeoutError as error:
        raise Retryable(
            f"no broker tells where {full_name(kafka, topic)} begins and ends: perhaps a partition of it has no leader;"
            " `tidemark doctor` says which brokers are missing"
        ) from error


async def at_time(kafka: KafkaSettings, topic: str, at_ms: int) -> Offsets:
    """Return, for each partition, the first record that was appended at `at_ms` or later; where there is none, the end."""
    async with reader(kafka, topic) as (client, partitions):
        found = await client.offsets_for_times(dict.fromkeys(partitions, at_ms))
        last = by_partition(await client.end_offsets(partitions))
        return {each.partition: found[each].offset if found.get(each) else last[each.partition] for each in partitions}


async def scan(
    kafka: KafkaSettings,
    topic: str,
    start: Mapping[int, int] | None = None,
    stop: Mapping[int, int] | None = None,
) -> AsyncGenerator[ConsumerRecord[bytes, bytes], None]:
    """
    Yield the records from `start` (else the beginning) up to before `stop` (else the end as it is now).

    It waits for transactions that are open within the range to be settled.

    Raises:
        Retryable: nothing came for PATIENCE_S.
    """
    async with reader(kafka, topic) as (client, partitions):
        limits = dict(stop) if stop is not None else await ends(kafka, topic)
        first = await _told(kafka, topic, client.beginning_offsets(partitions))
        left = set()
        for partition in partitions:
            begin = max(first[partition.partition], (start or {}).get(partition.partition, 0))
            if begin < limits.get(partition.partition, 0):
                client.seek(partition, begin)
                left.add(partition)
            else:
                client.pause(partition)
        before: Mapping[TopicPartition, int] = {}
        moved_at = time.monotonic()
        while left:
            for partition, records in (await client.getmany(*left, timeout_ms=100, max_records=20_000)).items():
                for record in records:
                    if record.offset < limits[partition.partition]:
                        yield record
            places = {partition: await client.position(partition) for partition in left}
            if places != before:
                before, moved_at = places, time.monotonic()
            elif time.monotonic() - moved_at >= PATIENCE_S:
                raise Retryable(_stuck(places, limits))
            for partition, place in places.items():
                if place >= limits[partition.partition]:
                    left.discard(partition)
                    client.pause(partition)


def _stuck(places: Mapping[TopicPartition, int], limits: Mapping[int, int]) -> str:
    partition, place = min(places.items())
    return (
        f"nothing more of {partition.topic}/{partition.partition} came for {PATIENCE_S:.0f} s: read up to offset {place}, its"
        f" end is {limits[partition.partition]}. A transaction is open there, or the partition has no leader:"
        " `tidemark doctor` says which"
    )


def by_partition(offsets: Mapping[TopicPartition, int]) -> Offsets:
    """Return offsets by the number of the partition alone."""
    return {partition.partition: offset for partition, offset in sorted(offsets.items())}


def record_of(value: bytes | None) -> str | None:
    """
    Return the name of the record that a value says it is, None for what nobody can read; far quicker than to read it.

    Raises:
        UnknownVersion: as `decoded`.
    """
    try:
        return codec.record_of(value)
    except codec.UnknownSchema as error:
        raise UnknownVersion(
            f"a record cannot be read by this version, install the one that wrote it: {error}"
        ) from error


def decoded(value: bytes | None) -> tuple[str, dict[str, Any]]:
    """
    Return record name and value, both empty for what nobody can read: the log may hold such, and goes on behind it.

    Raises:
        UnknownVersion: a newer version wrote it; to go on without it would tell something else than is there.
    """
    try:
        return codec.decode(value or b"")
    except codec.UnknownSchema as error:
        raise UnknownVersion(
            f"a record cannot be read by this version, install the one that wrote it: {error}"
        ) from error
    except codec.CodecError:
        return "", {}


async def latest(
    kafka: KafkaSettings, topic: str, take: Callable[[ConsumerRecord[bytes, bytes]], T | None]
) -> dict[bytes, T]:
    """Return by key what `take` makes of the latest record of a compacted topic; None leaves the key out, as a tombstone does."""
    found: dict[bytes, T] = {}
    async for record in scan(kafka, topic):
        taken = take(record) if record.value is not None else None
        if taken is None:
            found.pop(record.key, None)
        else:
            found[record.key] = taken
    return found


async def last_records(kafka: KafkaSettings, topic: str, keys: Collection[bytes]) -> dict[int, dict[bytes, bytes]]:
    """Return the last value of each of these keys by partition; a partition without all of them gives those that it has."""
    limits = await ends(kafka, topic, committed=True)
    first = await beginnings(kafka, topic)
    found: dict[int, dict[bytes, bytes]] = {partition: {} for partition in limits}
    left: Offsets = {partition: end for partition, end in limits.items() if end > first[partition]}
    tail = TAIL
    while left:
        start = {partition: max(first[partition], end - tail) for partition, end in left.items()}
        # a partition that is not to be read is one whose start is its end
        records = await _records(kafka, topic, keys, {**limits, **start}, limits)
        for partition in sorted(left):
            found[partition] = records.get(partition, {})
            if len(found[partition]) == len(keys) or start[partition] == first[partition]:
                del left[partition]
        tail *= 64
    return found


async def _records(
    kafka: KafkaSettings, topic: str, keys: Collection[bytes], start: Mapping[int, int], stop: Mapping[int, int]
) -> dict[int, dict[bytes, bytes]]:
    latest: dict[int, dict[bytes, bytes]] = {}
    async for record in scan(kafka, topic, start, stop):
        if record.key in keys and record.value is not None:
            latest.setdefault(record.partition, {})[record.key] = record.value
    return latest
