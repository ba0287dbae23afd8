"""Topics on a real cluster follow their records."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.topics import TOPICS
from services.shared.kafka import replication, topics
from services.shared.kafka.clients import _AdminClient, consumer, producer, transactional_producer
from services.shared.kafka.embedded import broker as embedded
from services.shared.kafka.embedded import broker_config
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings
from tests.support.topic_settings import alter


async def test_created_topics_pass_the_check(kafka_settings: KafkaSettings) -> None:
    """What create makes is what check asks for."""
    assert await topics.check(kafka_settings) == []


async def test_topics_that_a_broker_does_not_know_yet_are_looked_for_again(
    kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that has just started, or where they were created a moment ago: a service that starts then does not end."""
    really_list, really_describe, looks = _AdminClient.list_topics, _AdminClient.describe_topics, 0

    async def none_at_first(client: _AdminClient) -> list[str]:
        nonlocal looks
        looks += 1
        return [] if looks == 1 else await really_list(client)

    async def unknown_at_first(client: _AdminClient, names: list[str] | None = None) -> list[Any]:
        if looks > 1 or names is None:
            return await really_describe(client, names)
        return [{"topic": name, "error_code": UnknownTopicOrPartitionError.errno, "partitions": []} for name in names]

    monkeypatch.setattr(_AdminClient, "list_topics", none_at_first)
    monkeypatch.setattr(_AdminClient, "describe_topics", unknown_at_first)

    await topics.refuse_misfits(kafka_settings, TOPICS)

    assert looks == 2


async def test_brokers_that_create_no_topics_are_not_blamed(kafka_settings: KafkaSettings) -> None:
    assert not await topics.made_by_brokers(kafka_settings)


async def test_creating_again_creates_nothing(kafka_settings: KafkaSettings) -> None:
    """Create is idempotent."""
    assert await topics.create(kafka_settings) == []


async def test_another_partition_count_is_named_by_the_check(kafka_settings: KafkaSettings) -> None:
    """A deployment configured for other lanes than the cluster has is told so."""
    other = kafka_settings.model_copy(update={"partitions": 6})

    problems = await topics.check(other)

    assert len(problems) == 1
    assert "TIDEMARK_PARTITIONS is 6" in problems[0] and "set TIDEMARK_PARTITIONS=2" in problems[0]


async def test_missing_topics_and_wrong_settings_are_named(kafka_settings: KafkaSettings) -> None:
    """Each difference is one sentence with the topic's name."""
    other = kafka_settings.model_copy(update={"topic_prefix": f"t{uuid.uuid4().hex[:12]}-"})
    name = other.scoped("usage-events")
    await topics.create(other, [msgspec.structs.replace(TOPICS["usage-events"], retention_ms=1000)])

    problems = await topics.check(other)

    await topics.delete(other)
    assert any(p.startswith(f"topic {name} has retention.ms=1000, its record says") for p in problems)
    assert f"topic {other.scoped('fleet')} does not exist: run `tidemark topics create`" in problems


async def test_topics_that_brokers_keep_for_themselves_with_too_few_copies_are_named(
    kafka_settings: KafkaSettings,
) -> None:
    async with transaction(kafka_settings):
        pass

    assert await replication.of_brokers(kafka_settings) == []
    problems = await replication.of_brokers(kafka_settings.model_copy(update={"replication": 3}))

    (named,) = (problem for problem in problems if "__transaction_state" in problem)
    assert "keeps 1 of 3 wanted copies" in named and "transaction.state.log.replication.factor=3" in named


async def test_a_bound_by_size_is_named_and_is_not_taken_over_from_brokers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default of many clusters would delete the log long before its 400 days."""
    usual = broker_config.server_properties
    monkeypatch.setattr(embedded, "server_properties", lambda *given: usual(*given) + "log.retention.bytes=1048576\n")
    broker = EmbeddedBroker(tmp_path)
    await asyncio.to_thread(broker.start)
    try:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap, partitions=1)
        await topics.create(kafka)
        assert await topics.check(kafka) == []

        await alter(kafka, "usage-events", {"retention.bytes": "1048576"})
        assert await topics.check(kafka) == ["topic usage-events has retention.bytes=1048576, its record says -1"]
    finally:
        await asyncio.to_thread(broker.stop)


@asynccontextmanager
async def transaction(kafka: KafkaSettings) -> AsyncIterator[None]:
    """Commit a transaction, so that brokers make what they need for it."""
    sender = transactional_producer(kafka, kafka.scoped(uuid.uuid4().hex))
    await sender.start()
    try:
        async with sender.transaction():
            yield
    finally:
        await sender.stop()


async def test_records_land_where_the_partitioner_says(kafka_settings: KafkaSettings) -> None:
    """Producer and partition_for agree, and a consumer of ours reads what was written."""
    keys = [f"account-{n}".encode() for n in range(20)]
    sender = producer(kafka_settings)
    reader = consumer(kafka_settings, "usage-events")
    await sender.start()
    await reader.start()
    try:
        for key in keys:
            await sender.send_and_wait(kafka_settings.scoped("usage-events"), b"x", key=key)
        seen: dict[bytes, int] = {}
        while len(seen) < len(keys):
            record = await reader.getone()
            seen[record.key] = record.partition
    finally:
        await sender.stop()
        await reader.stop()

    assert seen == {key: partition_for(key, kafka_settings.partitions) for key in keys}
