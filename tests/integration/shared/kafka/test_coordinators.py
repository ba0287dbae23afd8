"""A broker that dies while it is asked who coordinates a transaction ends nobody's transaction."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.coordination import FindCoordinatorRequest

from services.shared.kafka.clients import transactional_producer
from services.shared.kafka.settings import KafkaSettings

pytestmark = pytest.mark.integration


@pytest.fixture
def topic_names() -> Collection[str]:
    """The one that is written."""
    return ("fleet",)


async def test_a_connection_that_breaks_in_the_question_is_another_broker_to_ask(
    kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = AIOKafkaClient.send
    asked = 0

    async def breaks_at_first(self: AIOKafkaClient, node: int, request: Any, **more: Any) -> Any:
        nonlocal asked
        if isinstance(request, FindCoordinatorRequest):
            asked += 1
            if asked % 2:
                raise KafkaConnectionError("Connection at 127.0.0.1:1 closed")
        return await send(self, node, request, **more)

    monkeypatch.setattr(AIOKafkaClient, "send", breaks_at_first)
    topic = kafka_settings.scoped("fleet")
    producer = transactional_producer(kafka_settings, "lane")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(topic, b"v", key=b"k")
        await producer.send_offsets_to_transaction({TopicPartition(topic, 0): 1}, kafka_settings.scoped("scorer"))
    await producer.stop()

    assert asked >= 4  # for the coordinator of transactions, and for that of the group
