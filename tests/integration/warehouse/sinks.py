"""Sinks over a real broker, and what they are fed with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as AIOTopicPartition
from prometheus_client import CollectorRegistry

from schemas import codec
from services.shared.kafka import clients
from services.shared.kafka.partition import TopicPartition
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.clickhouse.store import ClickHouseStore
from services.warehouse.filling.sink import KafkaSink
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import FillingStore, Sink
from services.warehouse.settings import WarehouseSettings
from tests.support.warehouse_events import example

EVENT = codec.encoder("usage_event")
TICK = codec.encoder("tick")({"at": 1})
T0 = 1_764_547_200_000


@asynccontextmanager
async def producing(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    producer = clients.producer(kafka)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send_events(kafka: KafkaSettings, ids: range, *, ticks: bool = True) -> dict[str, str]:
    """Send an event an id, over 50 accounts, with ticks between; return the account of each id."""
    sent: dict[str, str] = {}
    topic = kafka.scoped("usage-events")
    value = example("usage_event/examples/track.json")
    async with producing(kafka) as producer:
        acks = []
        for n in ids:
            account = f"account-{n % 50}"
            sent[f"e{n}"] = account
            data = EVENT({**value, "event_id": f"e{n}", "account": account, "occurred_at": T0 + n})
            acks.append(await producer.send(topic, data, key=account.encode()))
            if ticks and n % 100 == 0:
                acks.append(await producer.send(topic, TICK, partition=n // 100 % 4))
        await asyncio.gather(*acks)
    return sent


@asynccontextmanager
async def sinking(
    kafka: KafkaSettings, store: FillingStore, tell: Callable[..., None] = lambda *_: None, **settings: Any
) -> AsyncIterator[tuple[KafkaSink, CollectorRegistry]]:
    registry = CollectorRegistry()
    options = {"batch_seconds": 0.05, **settings}
    sink = KafkaSink(kafka, WarehouseSettings(**options), store, WarehouseMetrics(registry), tell)
    stop = asyncio.Event()
    task = asyncio.create_task(sink.run(stop))
    try:
        yield sink, registry
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


async def end_offsets(kafka: KafkaSettings, *topics: str) -> dict[TopicPartition, int]:
    reader = clients.consumer(kafka)
    await reader.start()
    try:
        places = [(topic, partition) for topic in topics for partition in range(kafka.partitions)]
        ends = await reader.end_offsets([AIOTopicPartition(kafka.scoped(t), p) for t, p in places])
        return {(tp.topic.removeprefix(kafka.topic_prefix), tp.partition): end for tp, end in ends.items()}
    finally:
        await reader.stop()


def caught_up(kafka: KafkaSettings, store: Sink, *topics: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        ends = {place: end for place, end in (await end_offsets(kafka, *topics)).items() if end}
        stored = await asyncio.to_thread(store.positions)
        return all(stored.get(place, 0) >= end for place, end in ends.items())

    return check


def lag(registry: CollectorRegistry) -> float:
    found = [s.value for m in registry.collect() for s in m.samples if s.name == "tidemark_warehouse_lag_records"]
    return sum(found) if found else -1.0


def raw(store: ClickHouseStore, query: str) -> list[tuple[Any, ...]]:
    with store._reader() as reader:
        return [tuple(row) for row in reader.query(query).result_rows]
