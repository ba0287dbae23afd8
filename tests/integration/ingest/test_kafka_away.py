"""Kafka goes away and comes back: clients are told to wait, and what was acknowledged is there, once."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry

from schemas import codec
from schemas.topics import TOPICS
from services.ingest.__main__ import application, server_options
from services.ingest.event_log import producers
from services.ingest.event_log.kafka import KafkaEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import WRITES, LogRecord, ProduceBounds
from services.ingest.settings import IngestSettings
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from services.shared.errors import Fatal, Retryable
from services.shared.http.server import serving
from services.shared.kafka import clients, topics
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from tests.support.waiting import until

pytestmark = pytest.mark.integration
SETTINGS = IngestSettings(ack_timeout_s=1.0, stall_after_s=0.5)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A broker of this module's own, since it is killed; each test leaves it running."""
    broker = EmbeddedBroker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def broker(node: EmbeddedBroker) -> tuple[EmbeddedBroker, KafkaSettings]:
    kafka = KafkaSettings(bootstrap_servers=node.bootstrap, partitions=4, topic_prefix=f"t{uuid.uuid4().hex[:12]}-")
    await topics.create(kafka, [TOPICS[name] for name in WRITES])
    return node, kafka


async def stored_ids(kafka: KafkaSettings) -> list[str]:
    consumer = clients.consumer(kafka, "usage-events")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        ids = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                ids += [codec.decode(record.value)[1]["event_id"] for record in records]
        return ids
    finally:
        await consumer.stop()


async def test_a_stopped_broker_is_a_429_and_nothing_acknowledged_is_lost(
    broker: tuple[EmbeddedBroker, KafkaSettings],
) -> None:
    node, kafka = broker
    metrics = IngestMetrics(CollectorRegistry())
    log = KafkaEventLog(kafka, SETTINGS.bounds(), metrics)
    app = application(log, WriteKeys({"wk": WriteKey("wk", "web")}), metrics, SETTINGS)
    acknowledged: set[str] = set()
    statuses: list[int] = []
    slowest = 0.0
    going = True
    log.start()
    await until(lambda: log.not_ready() is None)
    async with serving(app, "127.0.0.1", 0, **server_options(SETTINGS)) as port:
        base = f"http://127.0.0.1:{port}"

        async def client(name: str) -> None:
            nonlocal slowest
            async with httpx.AsyncClient(base_url=base, auth=("wk", ""), timeout=20) as http:
                number = 0
                while going:
                    number += 1
                    sent = [f"{name}-{number}-{n}" for n in range(5)]
                    batch = [
                        {"type": "track", "event": "x", "userId": "u", "groupId": f"{name}-{n}", "messageId": i}
                        for n, i in enumerate(sent)
                    ]
                    while going:
                        began = time.monotonic()
                        answer = await http.post("/v1/batch", json={"batch": batch})
                        slowest = max(slowest, time.monotonic() - began)
                        statuses.append(answer.status_code)
                        if answer.status_code == 200:
                            acknowledged.update(sent)
                            break
                        assert answer.status_code == 429
                        assert int(answer.headers["retry-after"]) >= 1
                        await asyncio.sleep(0.05)

        clients_ = [asyncio.create_task(client(f"c{n}")) for n in range(4)]
        await until(lambda: len(acknowledged) > 200)
        await asyncio.to_thread(node.kill)
        await until(lambda: 429 in statuses)
        # One partition may be put off a moment before all are, and on a busy machine while the broker is still there.
        async with httpx.AsyncClient(base_url=base) as http:

            async def refuses() -> bool:
                return (await http.get("/readyz")).status_code == 503

            await until(refuses)
            assert (await http.get("/healthz")).status_code == 200
        await until(lambda: statuses.count(429) > 20)
        before = len(acknowledged)
        await asyncio.to_thread(node.start)
        await until(lambda: len(acknowledged) > before + 200)
        await until(lambda: log.not_ready() is None)
        going = False
        await asyncio.gather(*clients_)
    await log.close()

    stored = await stored_ids(kafka)
    assert acknowledged <= set(stored)
    assert set(statuses) == {200, 429}
    assert slowest < SETTINGS.ack_timeout_s + 1.5
    # The producer itself doubles nothing; what is there twice was sent twice, after a 429.
    assert len(stored) - len(set(stored)) <= 5 * statuses.count(429)


async def test_an_idle_process_notices_that_the_broker_is_gone_and_back(
    broker: tuple[EmbeddedBroker, KafkaSettings],
) -> None:
    node, kafka = broker
    log = KafkaEventLog(kafka, ProduceBounds(), IngestMetrics(CollectorRegistry()))
    log.start()
    await until(lambda: log.not_ready() is None)
    await asyncio.to_thread(node.kill)
    await until(lambda: log.not_ready() is not None)
    with pytest.raises(Retryable):
        await log.append([LogRecord("usage-events", b"k", b"v")])
    await asyncio.to_thread(node.start)
    await until(lambda: log.not_ready() is None)
    await log.append([LogRecord("usage-events", b"k", b"v")])
    await log.close()


async def test_a_frozen_broker_fills_the_bound_and_no_more(broker: tuple[EmbeddedBroker, KafkaSettings]) -> None:
    node, kafka = broker
    metrics = IngestMetrics(CollectorRegistry())
    bound = 1024 * 1024
    log = KafkaEventLog(kafka, ProduceBounds(in_flight_bytes=bound, ack_timeout_s=1.0, stall_after_s=30.0), metrics)
    log.start()
    await until(lambda: log.not_ready() is None)
    node.pause()
    try:
        records = [LogRecord(topic, b"%d" % n, b"x" * 10_000) for n in range(40) for topic in WRITES]
        outcomes = await asyncio.gather(*(log.append([one]) for one in records * 4), return_exceptions=True)
        assert [outcome for outcome in outcomes if not isinstance(outcome, Retryable)] == []
        in_flight = metrics.registry.get_sample_value("tidemark_ingest_in_flight_bytes") or 0.0
        assert bound <= in_flight <= bound + 11_000
        assert max(queue.bytes for queue in log._queues.by_partition.values()) <= bound // 4 + 11_000
        assert "wait for Kafka" in str(log.not_ready())
    finally:
        node.resume()
    await until(
        lambda: log.not_ready() is None and metrics.registry.get_sample_value("tidemark_ingest_in_flight_bytes") == 0
    )
    for one in records:  # one by one: how many a second it takes is the machine's business
        await log.append([one])
    await log.close()


async def test_a_batch_that_fails_for_good_replaces_the_producer(
    kafka_settings: KafkaSettings, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = IngestMetrics(CollectorRegistry())
    log = KafkaEventLog(kafka_settings, ProduceBounds(), metrics)
    log.start()
    await until(lambda: log.not_ready() is None)
    too_large = LogRecord("usage-events", b"k", b"x" * (3 << 20))
    others = [log.append([LogRecord("usage-events", b"%d" % n, b"v")]) for n in range(8)]

    outcomes = await asyncio.gather(log.append([too_large]), *others, return_exceptions=True)

    assert isinstance(outcomes[0], Retryable)
    assert all(outcome is None or isinstance(outcome, Retryable) for outcome in outcomes)
    await until(lambda: log.not_ready() is None)
    await log.append([LogRecord("usage-events", b"%d" % n, b"v") for n in range(8)])
    assert metrics.producer_restarts._value.get() == 1
    [told] = [vars(record) for record in caplog.records if record.message == "producer_replaced"]
    assert told["topic"] == kafka_settings.scoped("usage-events")
    assert metrics.registry.get_sample_value("tidemark_ingest_in_flight_bytes") == 0
    await log.close()


async def test_a_cluster_with_other_partitions_is_refused(kafka_settings: KafkaSettings) -> None:
    log = KafkaEventLog(
        kafka_settings.model_copy(update={"partitions": 5}), ProduceBounds(), IngestMetrics(CollectorRegistry())
    )
    log.start()

    with pytest.raises(Fatal, match="partitions"):
        await asyncio.wait_for(log.failed, 20)
    await log.close()


async def test_clocks_that_disagree_are_measured_and_never_make_it_unready(kafka_settings: KafkaSettings) -> None:
    broker = kafka_settings.bootstrap_servers
    for ahead in (0, 100, -100):
        metrics = IngestMetrics(CollectorRegistry())

        def clock_ms(ahead: int = ahead) -> int:
            return time.time_ns() // 1_000_000 + ahead * 1000

        log = KafkaEventLog(kafka_settings, ProduceBounds(), metrics, clock_ms)
        log.start()
        async with asyncio.timeout(30):
            while log.not_ready() is not None:
                await asyncio.sleep(0.02)
        await log.append([LogRecord("usage-events", b"k", b"v")])

        assert abs(metrics.clock_apart_seconds.labels(broker)._value.get() - ahead) < 5
        assert log.not_ready() is None
        assert log.wedged() is None
        await log.close()


async def test_a_process_that_hears_nothing_of_kafka_asks_to_be_started_again() -> None:
    nowhere = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}", partitions=4)
    metrics = IngestMetrics(CollectorRegistry())
    log = KafkaEventLog(nowhere, ProduceBounds(wedged_after_s=1.0), metrics)
    app = application(log, WriteKeys({"wk": WriteKey("wk", "web")}), metrics, SETTINGS)
    log.start()
    async with serving(app, "127.0.0.1", 0, **server_options(SETTINGS)) as port:  # noqa: SIM117 - needs its port
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            assert (await http.get("/healthz")).status_code == 200
            await until(lambda: log.wedged() is not None)
            healthy, ready = await http.get("/healthz"), await http.get("/readyz")
    await log.close()

    assert (healthy.status_code, ready.status_code) == (503, 503)
    assert "nothing was heard of Kafka for" in healthy.text
    assert "Kafka is away since" in ready.json()["reason"]


async def test_a_process_without_traffic_hears_of_kafka_all_the_same(kafka_settings: KafkaSettings) -> None:
    log = KafkaEventLog(kafka_settings, ProduceBounds(wedged_after_s=4.0), IngestMetrics(CollectorRegistry()))
    log.start()
    await until(lambda: log.not_ready() is None)
    heard = log._producers.last_sign

    await until(lambda: log._producers.last_sign > heard + 3.0)

    assert log.wedged() is None
    await log.close()


async def test_a_start_that_no_broker_completes_is_said_and_tried_again(
    broker: tuple[EmbeddedBroker, KafkaSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker whose controller is away answers everything but the request for a producer id."""
    hangs = True
    start = AIOKafkaProducer.start

    async def starts(producer: AIOKafkaProducer) -> None:
        await start(producer)
        if hangs:
            await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaProducer, "start", starts)
    monkeypatch.setattr(producers, "_START_WITHIN_S", 0.5)
    log = KafkaEventLog(broker[1], SETTINGS.bounds(), IngestMetrics(CollectorRegistry()))
    log.start()
    try:
        await until(lambda: "no broker handed out a producer id" in (log.not_ready() or ""))
        hangs = False
        await until(lambda: log.not_ready() is None)
    finally:
        await log.close()
