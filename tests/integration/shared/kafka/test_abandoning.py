"""Of a producer that is abandoned nothing goes on, whatever it holds."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Collection
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from services.scorer.tick_sender import tick_producer
from services.shared.kafka.abandoning import abandon
from services.shared.kafka.clients import producer, transactional_producer
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings
from tests.integration.ingest.slow_partition import SlowPartitions
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

TOPIC = "usage-events"


@pytest.fixture
def topic_names() -> Collection[str]:
    return (TOPIC,)


def idempotent(kafka: KafkaSettings) -> AIOKafkaProducer:
    return producer(kafka)


def transactional(kafka: KafkaSettings) -> AIOKafkaProducer:
    return transactional_producer(kafka, "abandoned")


@pytest.mark.parametrize("make", [idempotent, tick_producer, transactional])
async def test_no_task_of_a_producer_is_left_whose_records_are_not_acknowledged(
    kafka_settings: KafkaSettings, make: Callable[[KafkaSettings], AIOKafkaProducer]
) -> None:
    said: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, told: said.append(told["message"]))
    async with SlowPartitions(int(kafka_settings.bootstrap_servers.rpartition(":")[2])) as slow:
        client = make(kafka_settings.model_copy(update={"bootstrap_servers": f"127.0.0.1:{slow.port}"}))
        before = asyncio.all_tasks()
        await _hold_and_abandon(client, slow, kafka_settings.scoped(TOPIC))
        del client

        await until(lambda: not _own(asyncio.all_tasks() - before), 5, lambda: str(_own(asyncio.all_tasks() - before)))
        gc.collect()
        await asyncio.sleep(0)
        assert said == []


async def _hold_and_abandon(client: AIOKafkaProducer, slow: SlowPartitions, topic: str) -> None:
    """Abandon a producer with one batch in flight, and one behind it."""
    await client.start()
    if client._txn_manager is not None and client._txn_manager.transactional_id:
        await client.begin_transaction()
    slow.hold(topic, 0)
    await client.send(topic, b"in flight", b"k", 0)
    await until(lambda: client._sender._in_flight)
    await client.send(topic, b"waits", b"k", 0)
    async with asyncio.timeout(10):
        await abandon(client, 0.1)


async def test_what_can_be_delivered_is(kafka_settings: KafkaSettings) -> None:
    client = producer(kafka_settings, linger_ms=200)
    await client.start()
    await client.send(kafka_settings.scoped(TOPIC), b"v", b"k", 0)

    await abandon(client, 10)

    assert [record.value async for record in scan(kafka_settings, TOPIC)] == [b"v"]


async def test_a_producer_that_never_started_is_closed(kafka_settings: KafkaSettings) -> None:
    await abandon(producer(kafka_settings), 10)


def _own(tasks: set[asyncio.Task[Any]]) -> list[str]:
    """Return what runs of aiokafka."""
    return [str(task.get_coro()) for task in tasks if "aiokafka" in str(task.get_coro().cr_code.co_filename)]  # type: ignore[union-attr]
