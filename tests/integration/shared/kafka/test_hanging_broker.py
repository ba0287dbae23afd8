"""A listed broker that takes connections and never answers costs a client seconds, not its request timeout."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError

from services.shared.kafka import bootstrap
from services.shared.kafka.clients import admin, consumer, producer, wait_for_broker
from services.shared.kafka.settings import KafkaSettings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

_WITHIN_S = 10.0
"""Two seconds for the one that hangs, and what a client takes on a busy machine; it was 40 s for most of them."""


@asynccontextmanager
async def hanging() -> AsyncIterator[str]:
    """Listen, take every connection, and say nothing."""
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in taken:
            writer.close()


@pytest.fixture(autouse=True)
def in_the_order_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients ask in a random order; here the one that hangs is asked first."""

    def hosts(client: AIOKafkaClient) -> list[tuple[str, int, None]]:
        listed = (each.rsplit(":", 1) for each in client._bootstrap_servers)
        return [(host, int(port), None) for host, port in listed]

    monkeypatch.setattr(AIOKafkaClient, "hosts", property(hosts))


async def test_every_kind_of_client_passes_it_by(kafka_settings: KafkaSettings) -> None:
    async with hanging() as silent:
        listed = f"{silent},{kafka_settings.bootstrap_servers}"
        kafka = kafka_settings.model_copy(update={"bootstrap_servers": listed})
        home = TopicPartition(kafka.scoped("risk-signals"), 0)
        writing, reading = producer(kafka), consumer(kafka)
        took: dict[str, float] = {}
        began = time.monotonic()
        await wait_for_broker(kafka)
        took["waiting"] = time.monotonic() - began
        try:
            began = time.monotonic()
            await writing.start()
            await writing.send_and_wait(home.topic, b"v", b"k", 0)
            took["producer"] = time.monotonic() - began
            began = time.monotonic()
            await reading.start()
            reading.assign([home])
            assert (await reading.getone()).value == b"v"
            took["consumer"] = time.monotonic() - began
            began = time.monotonic()
            async with admin(kafka) as asking:
                await asking.describe_cluster()
            took["admin"] = time.monotonic() - began
        finally:
            await writing.stop()
            await reading.stop()

    assert all(2 <= each < _WITHIN_S for each in took.values()), took


async def test_where_none_is_quick_each_gets_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that is slow, as one far away with TLS, is reached all the same."""
    monkeypatch.setattr(bootstrap, "_QUICK_MS", 200)
    async with hanging() as silent:
        client = AIOKafkaClient(bootstrap_servers=[silent], request_timeout_ms=1_000)
        bootstrap.find_back(client, {})
        began = time.monotonic()
        with pytest.raises(KafkaConnectionError):
            await client.bootstrap()
        took = time.monotonic() - began
        await client.close()

    assert 1.2 <= took < _WITHIN_S
    assert client._request_timeout_ms == 1_000
