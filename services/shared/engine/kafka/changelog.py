"""Read what a lane needs before it goes on: its changelogs, and how far its source and its group reach."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition

from services.shared.engine.fold.start import Bounds
from services.shared.engine.processor import SourceRecord
from services.shared.kafka.as_read import take_as_read
from services.shared.kafka.clients import admin, consumer
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_ids import topic_id

_FETCH_BYTES = 8 << 20
_SLICE = 20_000
"""Records taken at once: about 50 ms of the loop, which the open lanes share."""
_LOOK_SLICE = 2_000
"""The same where each of them is decoded."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The live records of a lane's changelogs, by store, and how many were read to get them."""

    stores: Mapping[str, dict[bytes, bytes]]
    records: int


Load = Callable[[KafkaSettings, Mapping[str, str], int], Awaitable[Loaded]]


async def load(kafka: KafkaSettings, stores: Mapping[str, str], partition: int) -> Loaded:
    """
    Read one partition of each changelog (store name to topic) to its end; the last value of each key counts.

    Only committed records count, and the end is where they end: call it after the lane's producer has started,
    which settles the transaction of the former owner. Arrival is told by the position, since the last offset may
    be a transaction's marker. About 300,000 records a second.
    """
    client = consumer(kafka, max_partition_fetch_bytes=_FETCH_BYTES, fetch_max_bytes=4 * _FETCH_BYTES)
    await client.start()
    try:
        store_of = {TopicPartition(kafka.scoped(topic), partition): store for store, topic in stores.items()}
        take_as_read(client)
        client.assign(list(store_of))
        ends = await client.end_offsets(list(store_of))
        await client.seek_to_beginning(*store_of)
        live: dict[str, dict[bytes, bytes]] = {store: {} for store in stores}
        count = 0
        while any([await client.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await client.getmany(timeout_ms=500, max_records=_SLICE)).items():
                count += len(records)
                store = live[store_of[tp]]
                for record in records:
                    if record.value is not None:
                        store[record.key] = record.value
                    else:
                        store.pop(record.key, None)
        return Loaded(live, count)
    finally:
        await client.stop()


async def look_ahead(
    kafka: KafkaSettings, topic: str, partition: int, start: int, wanted: Callable[[SourceRecord], bool]
) -> tuple[SourceRecord | None, int]:
    """Return the first record from `start` to the present end that is wanted, None if none is, and where to look next."""
    tp = TopicPartition(kafka.scoped(topic), partition)
    client = consumer(kafka)
    await client.start()
    try:
        take_as_read(client)
        client.assign([tp])
        end = (await client.end_offsets([tp]))[tp]
        client.seek(tp, start)
        while await client.position(tp) < end:
            for r in (await client.getmany(timeout_ms=500, max_records=_LOOK_SLICE)).get(tp, ()):
                record = SourceRecord(topic, partition, r.offset, r.key, r.value, r.timestamp)
                if wanted(record):
                    return record, r.offset
            await asyncio.sleep(0)
        return None, max(start, end)
    finally:
        await client.stop()


async def bounds(kafka: KafkaSettings, group: str, topic: str, partition: int) -> Bounds:
    """Return what exists of a source partition and what the group (both named without prefix) has committed in it."""
    tp = TopicPartition(kafka.scoped(topic), partition)
    client = consumer(kafka)
    await client.start()
    try:
        earliest = (await client.beginning_offsets([tp]))[tp]
        end = (await client.end_offsets([tp]))[tp]
    finally:
        await client.stop()
    async with admin(kafka) as asking:
        committed = (await asking.list_consumer_group_offsets(kafka.scoped(group), partitions=[tp]))[tp].offset
        id_ = await topic_id(asking, tp.topic)
    return Bounds(earliest, end, committed if committed >= 0 else None, id_)
