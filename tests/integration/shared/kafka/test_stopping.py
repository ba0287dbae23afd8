"""A consumer whose last fetch has failed stops as any other; aiokafka's own passes a cancellation on to whoever stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import NodeNotReadyError
from aiokafka.protocol.fetch import FetchRequest

from schemas.topics import FLEET
from services.shared.kafka.clients import consumer
from services.shared.kafka.settings import KafkaSettings
from tests.support.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def topic_names() -> Collection[str]:
    """One."""
    return (FLEET,)


async def with_a_failed_fetch(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> AIOKafkaConsumer:
    """Return a started consumer whose fetch has failed and is not tried again for a long time."""
    client = consumer(kafka, FLEET, retry_backoff_ms=60_000)
    await client.start()
    send, failed = client._client.send, asyncio.Event()

    async def refused(node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, FetchRequest):
            failed.set()
            raise NodeNotReadyError("the broker is away")
        return await send(node, request, **options)

    monkeypatch.setattr(client._client, "send", refused)
    await failed.wait()
    await until(lambda: bool(client._fetcher._pending_tasks))
    return client


async def test_it_stops_and_leaves_no_task(kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = asyncio.all_tasks()
    client = await with_a_failed_fetch(kafka_settings, monkeypatch)
    stopping = asyncio.create_task(client.stop())

    await asyncio.wait([stopping], timeout=10)

    assert stopping.done()
    assert not stopping.cancelled()
    await until(lambda: asyncio.all_tasks() <= before)


async def test_the_fault_is_still_there(kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, aiokafka has mended it, and `stop` of our consumer may go."""
    client = await with_a_failed_fetch(kafka_settings, monkeypatch)
    stopping = asyncio.create_task(AIOKafkaConsumer.stop(client))

    await asyncio.wait([stopping], timeout=10)

    assert stopping.cancelled()
    await client._client.close()
