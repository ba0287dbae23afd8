"""
Read what a lane needs before it goes on: its changelogs, and how far its source and its group reach.

A partition without a leader, or a coordinator that is being elected, gives no answer. Each question has its own limit
then, shorter than aiokafka's, and raises `KafkaTimeoutError`: whoever asks gives back what others wait for, and asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.start import Bounds
from services.shared.engine.processor import SourceRecord
from services.shared.kafka.clients import admin, consumer
from services.shared.kafka.fetching.as_read import take_as_read
from services.shared.kafka.fetching.passed_over import note_beginnings, refuse_passed_over
from services.shared.kafka.group_offsets import group_offsets
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_ids import NO_ID, topic_id
from services.shared.process.garbage import gc_paused

_FETCH_BYTES = 8 << 20
_SLICE = 20_000
"""Records taken at once: about 50 ms of the loop, which the open lanes share."""
_LOOK_SLICE = 2_000
"""The same where each of them is decoded."""
_ANSWER_WITHIN_S = 10.0
"""A question for offsets; Kafka answers in milliseconds, or has nobody who could."""
_MOVE_WITHIN_S = 30.0
"""A load that gets nothing for so long has lost the leader of a changelog."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The live records of a lane's changelogs, by store, and how many were read to get them."""

    stores: Mapping[str, dict[bytes, bytes]]
    records: int
    cut: Mapping[str, int] = field(default_factory=dict)
    """The first offset of each changelog (topic without prefix) whose beginning was deleted: its live records are not all of them."""


async def load(kafka: KafkaSettings, stores: Mapping[str, str], partition: int) -> Loaded:
    """
    Read one partition of each changelog (store name to topic) to its end; the last value of each key counts.

    Only committed records count, and the end is where they end: call it after the lane's producer has started,
    which settles the transaction of the former owner. Arrival is told by the position, since the last offset may
    be a transaction's marker. About 300,000 records a second. Of changelogs that were cut nothing is read.

    Raises:
        CorruptRecordException: a batch is damaged, or the broker passes over it.
        KafkaTimeoutError: nobody says where a changelog ends, or gives more of it.
        NotLeaderForPartitionError: as `refuse_passed_over`.
    """
    names = ", ".join(f"{topic}/{partition}" for topic in sorted(stores.values()))
    client = consumer(kafka, max_partition_fetch_bytes=_FETCH_BYTES, fetch_max_bytes=4 * _FETCH_BYTES)
    try:
        await client.start()
        store_of = {TopicPartition(kafka.scoped(topic), partition): store for store, topic in stores.items()}
        take_as_read(client)
        noted = note_beginnings(client)
        client.assign(list(store_of))
        async with _within(_ANSWER_WITHIN_S, f"nobody tells where {names} begin and end"):
            begins = await client.beginning_offsets(list(store_of))
            ends = await client.end_offsets(list(store_of))
        cut = {stores[store_of[tp]]: offset for tp, offset in begins.items() if offset}
        if cut:
            return Loaded({}, 0, cut)
        # Not before: each pause freezes what it finds, and where an end is may be asked in vain for days.
        with gc_paused():
            async with _within(_MOVE_WITHIN_S, f"nobody gives more of {names}") as patience:
                loaded = await _read(client, ends, store_of, patience)
        await refuse_passed_over(kafka, noted)
        return loaded
    finally:
        await client.stop()


async def _read(
    client: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], store_of: Mapping[TopicPartition, str],
    patience: asyncio.Timeout,
) -> Loaded:  # fmt: skip
    """Read from the beginning to the ends; patience begins anew whenever there was more."""
    await client.seek_to_beginning(*ends)
    live: dict[str, dict[bytes, bytes]] = {store: {} for store in store_of.values()}
    count = 0
    reached = dict.fromkeys(ends, -1)
    while True:
        before, reached = reached, {tp: await client.position(tp) for tp in ends}
        if all(reached[tp] >= end for tp, end in ends.items()):
            return Loaded(live, count)
        if reached != before:
            patience.reschedule(asyncio.get_running_loop().time() + _MOVE_WITHIN_S)
        for tp, records in (await client.getmany(timeout_ms=500, max_records=_SLICE)).items():
            count += len(records)
            store = live[store_of[tp]]
            for record in records:
                if record.value is not None:
                    store[record.key] = record.value
                else:
                    store.pop(record.key, None)


async def look_ahead(
    kafka: KafkaSettings, topic: str, partition: int, start: int, wanted: Callable[[SourceRecord], bool]
) -> tuple[SourceRecord | None, int]:
    """
    Return the first record from `start` to the present end that is wanted, None if none is, and where to look next: the end.

    Raises:
        KafkaTimeoutError: nobody gives more of it, as where it was truncated meanwhile.
    """
    tp = TopicPartition(kafka.scoped(topic), partition)
    client = consumer(kafka)
    await client.start()
    try:
        take_as_read(client)
        client.assign([tp])
        end = (await client.end_offsets([tp]))[tp]
        client.seek(tp, start)
        async with _within(_MOVE_WITHIN_S, f"nobody gives more of {topic}/{partition} up to {end}") as patience:
            while await client.position(tp) < end:
                found = (await client.getmany(timeout_ms=500, max_records=_LOOK_SLICE)).get(tp, ())
                if found:
                    patience.reschedule(asyncio.get_running_loop().time() + _MOVE_WITHIN_S)
                for r in found:
                    record = SourceRecord(topic, partition, r.offset, r.key, r.value, r.timestamp)
                    if wanted(record):
                        return record, r.offset
                await asyncio.sleep(0)
        return None, end
    finally:
        await client.stop()


async def bounds(
    kafka: KafkaSettings, group: str, topic: str, partition: int, stores: Mapping[str, str] | None = None
) -> Bounds:
    """
    Return what exists of a source partition and what the group (both named without prefix) has committed in it.

    With `stores`, the changelogs of the lane by store, also which topics these are and were at that commit.

    Raises:
        KafkaTimeoutError: nobody says where the partition begins and ends.
        Misfit, KafkaError: as `group_offsets`.
    """
    tp = TopicPartition(kafka.scoped(topic), partition)
    client = consumer(kafka)
    try:
        await client.start()
        async with _within(_ANSWER_WITHIN_S, f"nobody says where {topic}/{partition} begins and ends"):
            earliest = (await client.beginning_offsets([tp]))[tp]
            end = (await client.end_offsets([tp]))[tp]
    finally:
        await client.stop()
    async with admin(kafka) as asking:
        committed = (await group_offsets(asking, kafka.scoped(group), [tp]))[tp]
        id_ = await topic_id(asking, tp.topic)
        ids = {store: await topic_id(asking, kafka.scoped(name)) for store, name in sorted((stores or {}).items())}
    found = "" if NO_ID in ids.values() else " ".join(f"{store}={found.hex()}" for store, found in ids.items())
    reached = Committed.read(committed.offset, committed.metadata or "") if committed.offset >= 0 else None
    return Bounds(earliest, end, reached, id_, found)


@asynccontextmanager
async def _within(seconds: float, otherwise: str) -> AsyncIterator[asyncio.Timeout]:
    try:
        async with asyncio.timeout(seconds) as limit:
            yield limit
    except TimeoutError as error:
        raise KafkaTimeoutError(f"{otherwise}: it may have no leader") from error
