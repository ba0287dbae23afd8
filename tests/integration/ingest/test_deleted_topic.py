"""One of the topics that ingest writes is deleted: what goes to the others is acknowledged as before."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from schemas.topics import TOPICS
from services.ingest.event_log.kafka import KafkaEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import WRITES, LogRecord
from services.ingest.settings import IngestSettings
from services.shared.errors import Retryable
from services.shared.kafka import topics
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topics import partitions_of
from services.shared.kafka.watch import ClusterWatch
from tests.support.waiting import until

pytestmark = pytest.mark.integration

SETTINGS = IngestSettings(ack_timeout_s=3.0, stall_after_s=0.5)
LOOKS = 20
EVENT = LogRecord("usage-events", b"acme", b"an event")
LETTER = LogRecord("usage-rejected", b"web", b"a dead letter")


def slow_partitions(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("tidemark_ingest_slow_partitions", {"topic": "usage-rejected"})


async def test_events_are_taken_while_the_topic_of_dead_letters_is_gone(kafka_settings: KafkaSettings) -> None:
    registry = CollectorRegistry()
    watch = ClusterWatch(kafka_settings, 120.0, every_s=0.5)
    log = KafkaEventLog(kafka_settings, SETTINGS.bounds(), IngestMetrics(registry), absent=watch.absent)
    log.start()
    await until(lambda: log.not_ready() is None)
    await log.append([EVENT, LETTER])
    await topics.delete(kafka_settings, [TOPICS["usage-rejected"]])

    # Before anybody has looked: the letters fail, and no event does.
    for _ in range(LOOKS):
        letter = asyncio.create_task(log.append([LETTER]))
        await log.append([EVENT])
        with suppress(Retryable, TimeoutError):
            async with asyncio.timeout(0.3):
                await letter

    looking = asyncio.create_task(watch.run({topic: partitions_of(kafka_settings, topic) for topic in WRITES}))
    await until(lambda: "usage-rejected does not exist: run `tidemark topics create`" in " ".join(log.slow()), 30)
    assert log.stalled([EVENT, LETTER]) == [1]
    await log.append([EVENT])
    await until(lambda: slow_partitions(registry) == kafka_settings.partitions)

    await topics.create(kafka_settings, [TOPICS["usage-rejected"]])
    await until(lambda: not log.stalled([EVENT, LETTER]) and not log.slow(), 30)
    await until(lambda: slow_partitions(registry) == 0)

    async def written() -> bool:
        with suppress(Retryable):
            await log.append([EVENT, LETTER])
            return True
        return False

    await until(written, 30)
    assert log.not_ready() is None
    looking.cancel()
    await log.close()
