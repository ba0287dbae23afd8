"""What every event log promises, in memory and on a real Kafka."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry

from services.ingest.event_log.kafka import KafkaEventLog
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import WRITES, EventLog, LogRecord, ProduceBounds
from services.shared.kafka import clients
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings

Stored = dict[str, list[LogRecord]]
Read = Callable[[int], Awaitable[Stored]]


async def ready(log: EventLog, within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while log.not_ready() is not None:
            await asyncio.sleep(0.01)


async def read(kafka: KafkaSettings, count: int) -> Stored:
    """Return `count` records of all topics, in the order of each partition."""
    consumer = clients.consumer(kafka, *WRITES)
    await consumer.start()
    stored: Stored = defaultdict(list)
    try:
        async with asyncio.timeout(20):
            while count > 0:
                for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                    name = partition.topic.removeprefix(kafka.topic_prefix)
                    for record in records:
                        assert partition.partition == partition_for(record.key, kafka.partitions)
                        stored[name].append(LogRecord(name, record.key, record.value))
                    count -= len(records)
    finally:
        await consumer.stop()
    assert count == 0
    return stored


def record(key: int, number: int, topic: str = "usage-events") -> LogRecord:
    return LogRecord(topic, b"key-%d" % key, b"%d" % number)


class EventLogContract:
    """The suite; each adapter below runs it."""

    async def test_what_is_acknowledged_is_there_in_the_order_of_its_key(
        self, event_log: tuple[EventLog, Read]
    ) -> None:
        log, stored = event_log

        for start in range(0, 600, 60):
            await log.append([record(number % 7, number) for number in range(start, start + 60)])

        records = (await stored(600))["usage-events"]
        for key in range(7):
            assert [int(r.value) for r in records if r.key == b"key-%d" % key] == list(range(key, 600, 7))

    async def test_appends_at_the_same_time_do_not_disturb_each_other(self, event_log: tuple[EventLog, Read]) -> None:
        log, stored = event_log

        await asyncio.gather(*(log.append([record(n % 5, n), record(n % 3, n, "usage-rejected")]) for n in range(400)))

        records = await stored(800)
        for topic in ("usage-events", "usage-rejected"):
            assert sorted(int(r.value) for r in records[topic]) == list(range(400))

    async def test_the_largest_record_is_taken_beside_small_ones(self, event_log: tuple[EventLog, Read]) -> None:
        log, stored = event_log
        large = LogRecord("usage-rejected", b"k", b"x" * (log.largest_record("usage-rejected") - 1))
        small = LogRecord("usage-rejected", b"k", b"y")

        await log.append([small, large, small])

        assert [len(r.value) for r in (await stored(3))["usage-rejected"]] == [1, len(large.value), 1]

    async def test_nothing_is_appended_by_an_empty_append(self, event_log: tuple[EventLog, Read]) -> None:
        log, _ = event_log

        await log.append([])

        assert log.not_ready() is None

    async def test_an_append_whose_caller_left_is_kept(self, event_log: tuple[EventLog, Read]) -> None:
        log, stored = event_log
        left = asyncio.create_task(log.append([record(1, 1)]))
        await asyncio.sleep(0)
        left.cancel()

        await log.append([record(1, 2)])

        assert [int(r.value) for r in (await stored(2))["usage-events"]] == [1, 2]


class TestInMemory(EventLogContract):
    @pytest.fixture
    def event_log(self) -> tuple[EventLog, Read]:
        log = MemoryEventLog()

        async def remembered(_count: int) -> Stored:
            return log.records

        return log, remembered


@pytest.mark.integration
class TestOnKafka(EventLogContract):
    @pytest.fixture
    async def event_log(self, kafka_settings: KafkaSettings) -> AsyncIterator[tuple[EventLog, Read]]:
        log = KafkaEventLog(kafka_settings, ProduceBounds(), IngestMetrics(CollectorRegistry()))
        log.start()
        await ready(log)
        yield log, lambda count: read(kafka_settings, count)
        await log.close()
