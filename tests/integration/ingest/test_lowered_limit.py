"""Somebody lowers max.message.bytes of a topic that ingest writes: what still fits is taken, and the rest is put off and named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from schemas.topics import TOPICS
from services.ingest.event_log.kafka import KafkaEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import LogRecord
from services.ingest.settings import IngestSettings
from services.shared.errors import Retryable
from services.shared.kafka.settings import KafkaSettings
from tests.support.topic_settings import alter
from tests.support.waiting import until

pytestmark = pytest.mark.integration

SETTINGS = IngestSettings(ack_timeout_s=3.0, stall_after_s=0.5)
LOWERED = 2_000
TOPIC = "usage-details"
SMALL = LogRecord(TOPIC, b"ada", b"x" * 200)
LARGE = LogRecord(TOPIC, b"ada", b"x" * 4_000)
OF_ANOTHER_TOPIC = LogRecord("usage-events", b"acme", b"x" * 4_000)


async def limit(kafka: KafkaSettings, most: int) -> None:
    await alter(kafka, TOPIC, {"max.message.bytes": str(most)})


async def refused(log: KafkaEventLog, *records: LogRecord) -> bool:
    with suppress(Retryable):
        await log.append(records)
        return False
    return True


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def log(kafka_settings: KafkaSettings, registry: CollectorRegistry) -> AsyncIterator[KafkaEventLog]:
    """A log whose topic was lowered while it wrote, and which has met that."""
    log = KafkaEventLog(kafka_settings, SETTINGS.bounds(), IngestMetrics(registry))
    log.start()
    await until(lambda: log.not_ready() is None)
    await log.append([SMALL, LARGE])
    await limit(kafka_settings, LOWERED)
    await until(lambda: refused(log, LARGE))
    await until(log.slow, 30)
    await until(lambda: log.not_ready() is None)
    yield log
    await log.close()


async def test_what_is_too_large_now_is_put_off_and_spoils_nothing_else(
    log: KafkaEventLog, registry: CollectorRegistry
) -> None:
    def producers() -> float | None:
        return registry.get_sample_value("tidemark_ingest_producer_restarts_total")

    assert log.stalled([SMALL, LARGE, OF_ANOTHER_TOPIC]) == [1]
    before = producers()

    with pytest.raises(Retryable, match="larger than its topic takes now"):
        await log.append([LARGE])
    await asyncio.gather(*(log.append([SMALL] * 50 + [OF_ANOTHER_TOPIC]) for _ in range(20)))

    assert producers() == before


async def test_the_topic_is_named_and_counted_until_it_is_as_its_record_says(
    log: KafkaEventLog, kafka_settings: KafkaSettings, registry: CollectorRegistry
) -> None:
    def slow() -> float | None:
        return registry.get_sample_value("tidemark_ingest_slow_partitions", {"topic": TOPIC})

    assert "usage-details has max.message.bytes=2000, its record says 2097152" in " ".join(log.slow())
    await until(lambda: slow() == kafka_settings.partitions)

    await limit(kafka_settings, TOPICS[TOPIC].max_message_bytes)

    await until(lambda: not log.slow(), 30)
    await until(lambda: slow() == 0)
    await log.append([SMALL, LARGE])
