"""Topics on a real cluster follow their records."""

from __future__ import annotations

import uuid

import msgspec

from schemas.topics import TOPICS
from services.shared.kafka import topics
from services.shared.kafka.clients import consumer, producer
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings


async def test_created_topics_pass_the_check(kafka_settings: KafkaSettings) -> None:
    """What create makes is what check asks for."""
    assert await topics.check(kafka_settings) == []


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
