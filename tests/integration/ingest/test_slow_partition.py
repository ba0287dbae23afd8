"""One partition that does not acknowledge costs its own events, and nobody else's."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import LeaderNotAvailableError
from prometheus_client import CollectorRegistry

from schemas import codec
from services.ingest.__main__ import application, server_options
from services.ingest.event_log.kafka import KafkaEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import LogRecord, ProduceBounds
from services.ingest.settings import IngestSettings
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from services.shared.errors import Retryable
from services.shared.http.server import serving
from services.shared.kafka import clients
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings
from tests.integration.ingest.slow_partition import SlowPartitions
from tests.support.waiting import until

pytestmark = pytest.mark.integration

PARTITIONS = 4
SLOW = 1
SETTINGS = IngestSettings(ack_timeout_s=3.0, stall_after_s=0.6)


@pytest.fixture
def partitions() -> int:
    """One slow one, and several that are not."""
    return PARTITIONS


def account(partition: int, number: int = 0) -> str:
    """Return an account of a partition."""
    found = (name for name in (f"a{n}" for n in range(10_000)) if partition_for(name.encode(), PARTITIONS) == partition)
    return [next(found) for _ in range(number + 1)][-1]


@pytest.fixture
async def slow(kafka_settings: KafkaSettings) -> AsyncIterator[tuple[SlowPartitions, KafkaSettings]]:
    port = int(kafka_settings.bootstrap_servers.rpartition(":")[2])
    async with SlowPartitions(port) as way:
        yield way, kafka_settings.model_copy(update={"bootstrap_servers": f"127.0.0.1:{way.port}"})
        await way.release()


async def started(kafka: KafkaSettings, bounds: ProduceBounds) -> KafkaEventLog:
    log = KafkaEventLog(kafka, bounds, IngestMetrics(CollectorRegistry()))
    log.start()
    await until(lambda: log.not_ready() is None)
    return log


async def stored(kafka: KafkaSettings) -> list[ConsumerRecord[Any, Any]]:
    consumer = clients.consumer(kafka, "usage-events")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found: list[ConsumerRecord[Any, Any]] = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        return found
    finally:
        await consumer.stop()


async def stored_ids(kafka: KafkaSettings) -> Counter[str]:
    return Counter(codec.decode(record.value)[1]["event_id"] for record in await stored(kafka))


async def test_the_others_go_on_and_what_was_put_off_comes_again(
    slow: tuple[SlowPartitions, KafkaSettings], kafka_settings: KafkaSettings
) -> None:
    way, kafka = slow
    metrics = IngestMetrics(CollectorRegistry())
    log = KafkaEventLog(kafka, SETTINGS.bounds(), metrics)
    app = application(log, WriteKeys({"wk": WriteKey("wk", "web")}), metrics, SETTINGS)
    log.start()
    await until(lambda: log.not_ready() is None)
    names = {partition: account(partition) for partition in range(PARTITIONS)}
    acknowledged: set[str] = set()
    repeated: set[str] = set()
    waits: dict[int, list[float]] = {partition: [] for partition in range(PARTITIONS)}
    statuses: dict[int, list[int]] = {partition: [] for partition in range(PARTITIONS)}
    going = True
    async with serving(app, "127.0.0.1", 0, **server_options(SETTINGS)) as port:  # noqa: SIM117 - needs its port
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=("wk", ""), timeout=20) as http:

            async def client(partition: int) -> None:
                number = 0
                while going:
                    number += 1
                    sent = f"{partition}-{number}"
                    event = {"event": "x", "userId": "u", "groupId": names[partition], "messageId": sent}
                    while True:
                        began = time.monotonic()
                        answer = await http.post("/v1/track", json=event)
                        waits[partition].append(time.monotonic() - began)
                        statuses[partition].append(answer.status_code)
                        if answer.status_code == 200:
                            acknowledged.add(sent)
                            break
                        repeated.add(sent)
                        await asyncio.sleep(0.05)
                    await asyncio.sleep(0.01)

            clients_ = [asyncio.create_task(client(partition)) for partition in range(PARTITIONS)]
            await until(lambda: len(acknowledged) > 40, 15)
            way.hold(f"{kafka.topic_prefix}usage-events", SLOW)
            # On a busy machine others may be slow for a moment.
            await until(lambda: log.slow() == [f"usage-events/{SLOW}"])
            before = len(acknowledged)
            await until(lambda: len(acknowledged) > before + 200, 15)
            assert log.slow() == [f"usage-events/{SLOW}"]

            # Readiness stays green and says which; a batch of all partitions is put off only where it must be.
            ready = await http.get("/readyz")
            assert (ready.status_code, ready.json()["slow"]) == (200, [f"usage-events/{SLOW}"])
            assert 'slow_partitions{topic="usage-events"} 1.0' in (await http.get("/metrics")).text
            batch = [
                {
                    "type": "track",
                    "event": "x",
                    "userId": "u",
                    "groupId": names[partition],
                    "messageId": f"b-{partition}",
                }
                for partition in range(PARTITIONS)
            ]
            unprotected = {"type": "track", "event": "x", "userId": "u", "groupId": names[0]}
            answer = await http.post("/v1/batch", json={"batch": [*batch, unprotected]})
            body = answer.json()
            assert (answer.status_code, body["code"], body["accepted"], body["put_off"]) == (
                429,
                "log_unavailable",
                3,
                2,
            )
            assert [(r["index"], r["verdict"], r["code"]) for r in body["results"]] == [
                (SLOW, "put_off", "partition_stalled"),
                (4, "put_off", "partition_stalled"),
            ]
            assert int(answer.headers["retry-after"]) >= 1

            await way.release()
            await until(lambda: not log.slow())
            answer = await http.post("/v1/batch", json={"batch": [*batch, unprotected]})
            assert (answer.status_code, answer.json()["accepted"]) == (200, 5)
            before = sum(name.startswith(f"{SLOW}-") for name in acknowledged)
            await until(lambda: sum(name.startswith(f"{SLOW}-") for name in acknowledged) > before + 5, 15)
            going = False
            await asyncio.gather(*clients_)
            assert 'slow_partitions{topic="usage-events"} 0.0' in (await http.get("/metrics")).text
    await log.close()

    for partition in set(range(PARTITIONS)) - {SLOW}:
        # What was in the one request that hung has an unknown outcome; all that came after it went on.
        assert statuses[partition].count(429) <= 1, partition
        assert sorted(waits[partition])[-2] < 2.5, partition
    assert 429 in statuses[SLOW]
    stored = await stored_ids(kafka_settings)
    assert acknowledged <= set(stored)
    # Twice in the log is what was sent twice, after a 429, and nothing else.
    doubled = {name for name, count in stored.items() if count > 1 and not name.startswith("b-")}
    assert doubled <= repeated
    assert sum(name.startswith("assigned-") for name in stored) == 1
    assert metrics.in_flight_bytes._value.get() == 0


async def test_records_of_one_append_do_not_overtake_each_other_where_the_first_are_slow(
    slow: tuple[SlowPartitions, KafkaSettings], kafka_settings: KafkaSettings
) -> None:
    way, kafka = slow
    bounds = ProduceBounds(batch_bytes=10_000, ack_timeout_s=30.0, stall_after_s=0.6)
    log = await started(kafka, bounds)
    way.delay_next(f"{kafka.topic_prefix}usage-events", SLOW)
    key = account(SLOW).encode()
    written = [b"first", b"x" * 9_900, b"last"]

    appended = asyncio.create_task(log.append([LogRecord("usage-events", key, value) for value in written]))
    await until(lambda: log.slow() == [f"usage-events/{SLOW}"])
    await way.release()
    await appended

    assert [record.value for record in await stored(kafka_settings)] == written
    await log.append([LogRecord("usage-events", key, b"more")])
    await log.close()


async def test_records_whose_append_lost_its_first_ones_with_their_producer_are_not_written_without_them(
    slow: tuple[SlowPartitions, KafkaSettings], kafka_settings: KafkaSettings
) -> None:
    way, kafka = slow
    log = await started(kafka, ProduceBounds(batch_bytes=10_000, stall_after_s=0.6))
    way.delay_next(f"{kafka.topic_prefix}usage-events", SLOW)
    key = account(SLOW).encode()
    appended = asyncio.create_task(
        log.append([LogRecord("usage-events", key, value) for value in (b"first", b"x" * 9_900, b"last")])
    )
    await until(lambda: log.slow() == [f"usage-events/{SLOW}"])
    [queue] = [queue for queue in log._queues.by_partition.values() if queue.slow]
    assert queue.head is not None
    assert queue.head.route not in (None, log._producers.common)

    log._give_up(queue.head.route, queue, LeaderNotAvailableError())

    with pytest.raises(Retryable, match="LeaderNotAvailableError"):
        await appended
    await log.append([LogRecord("usage-events", key, b"next")])
    assert [record.value for record in await stored(kafka_settings)] == [b"next"]
    assert log._queues.bytes == 0
    await way.release()
    await log.close()


async def test_what_a_slow_partition_holds_leaves_room_for_the_others(
    slow: tuple[SlowPartitions, KafkaSettings],
) -> None:
    way, kafka = slow
    bounds = ProduceBounds(in_flight_bytes=1_000_000, ack_timeout_s=2.0, stall_after_s=0.6)
    log = await started(kafka, bounds)
    way.hold(f"{kafka.topic_prefix}usage-events", SLOW)
    large = [LogRecord("usage-events", account(SLOW).encode(), b"x" * 10_000)]

    outcomes = await asyncio.gather(*(log.append(large) for _ in range(100)), return_exceptions=True)

    assert all(isinstance(outcome, Retryable) for outcome in outcomes)
    assert log.stalled(large) == [0]
    held = sum(queue.bytes for queue in log._queues.by_partition.values())
    assert 250_000 <= held < 275_000
    await asyncio.gather(
        *(log.append([LogRecord("usage-events", account(0, n).encode(), b"x" * 10_000)]) for n in range(10))
    )
    await way.release()
    await until(lambda: not log.stalled(large))
    await log.append(large)
    await log.close()


async def test_a_process_that_stood_still_takes_no_partition_for_slow(
    slow: tuple[SlowPartitions, KafkaSettings], caplog: pytest.LogCaptureFixture
) -> None:
    """As on a machine that was paused: what was acknowledged meanwhile is read before anybody is told to come again."""
    way, kafka = slow
    log = await started(kafka, ProduceBounds(ack_timeout_s=2.5))
    event = LogRecord("usage-events", account(SLOW).encode(), b"x")
    await log.append([event])
    caplog.clear()
    way.hold(f"{kafka.topic_prefix}usage-events", SLOW)
    appended = asyncio.create_task(log.append([event]))
    await until(lambda: way.withheld)

    time.sleep(3)  # nothing else of this process runs meanwhile: that is what is tested
    await way.release()

    await appended
    assert "partition_is_slow" not in caplog.messages
    await log.close()


async def test_all_partitions_slow_is_not_ready(slow: tuple[SlowPartitions, KafkaSettings]) -> None:
    way, kafka = slow
    log = await started(kafka, SETTINGS.bounds())
    for partition in range(PARTITIONS):
        way.hold(f"{kafka.topic_prefix}usage-events", partition)
    events = [
        LogRecord("usage-events", account(partition).encode(), json.dumps(partition).encode()) for partition in range(4)
    ]

    async with asyncio.timeout(20):
        while "not acknowledged" not in str(log.not_ready()):
            with pytest.raises(Retryable):
                await log.append(events)

    await way.release()
    await until(lambda: log.not_ready() is None and not log.slow())
    await log.append(events)
    await log.close()
