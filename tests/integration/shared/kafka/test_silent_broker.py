"""A listed broker that takes connections and never answers costs a process two seconds, not each of its clients forty."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry

from services.ingest.event_log.kafka import KafkaEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import WRITES
from services.ingest.settings import IngestSettings
from services.shared.kafka import bootstrap
from services.shared.kafka.clients import admin, consumer, producer, wait_for_broker
from services.shared.kafka.settings import KafkaSettings
from tests.support.counting.in_process import working
from tests.support.counting.trial import trial
from tests.support.silent_broker import silent, slow
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

_NORMAL_S = 4.0
"""Of a client on a busy machine; most often it is a tenth of a second."""


@pytest.fixture
def topic_names() -> Collection[str]:
    return WRITES


@pytest.fixture(autouse=True)
def unheard(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """Know nothing of any broker yet, and ask the listed ones in the order of the list."""
    monkeypatch.setattr("aiokafka.conn.random.shuffle", lambda hosts: None)
    fresh: set[tuple[str, int]] = set()
    monkeypatch.setattr(bootstrap, "_unheard", fresh)
    return fresh


@pytest.fixture
def frozen() -> Iterator[str]:
    with silent() as address:
        yield address


def listing(kafka: KafkaSettings, *addresses: str) -> KafkaSettings:
    return kafka.model_copy(update={"bootstrap_servers": ",".join(addresses)})


async def a_producer(kafka: KafkaSettings) -> None:
    async with started(kafka) as client:
        await client.send_and_wait(kafka.scoped("usage-events"), b"v", b"k", 0)


async def a_consumer(kafka: KafkaSettings) -> None:
    client = consumer(kafka, "usage-events")
    await client.start()
    try:
        assert len(client.assignment()) == kafka.partitions
    finally:
        await client.stop()


async def an_admin_client(kafka: KafkaSettings) -> None:
    async with admin(kafka) as client:
        assert kafka.scoped("usage-events") in await client.list_topics()


@asynccontextmanager
async def started(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    client = producer(kafka)
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


@pytest.mark.parametrize("use", [a_producer, a_consumer, an_admin_client, wait_for_broker])
async def test_a_client_gives_a_listed_broker_that_never_answers_two_seconds(
    kafka_settings: KafkaSettings, frozen: str, use: Callable[[KafkaSettings], Awaitable[None]]
) -> None:
    kafka = listing(kafka_settings, frozen, kafka_settings.bootstrap_servers)
    began = time.monotonic()

    await use(kafka)

    assert 1.9 <= time.monotonic() - began < 2.0 + _NORMAL_S


async def test_the_next_client_of_the_process_asks_the_others_first(
    kafka_settings: KafkaSettings, unheard: set[tuple[str, int]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        frozen = f"127.0.0.1:{listener.getsockname()[1]}"
        kafka = listing(kafka_settings, frozen, kafka_settings.bootstrap_servers)
        await an_admin_client(kafka)
        assert connections(listener) > 0

        for use in (a_producer, a_consumer, an_admin_client):
            await use(kafka)

        assert connections(listener) == 0
    assert [f"{host}:{port}" for host, port in unheard] == [frozen]


def connections(listener: socket.socket) -> int:
    """Return how many have connected since the last look; they are closed."""
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


async def test_ingest_is_ready_after_two_seconds(kafka_settings: KafkaSettings, frozen: str) -> None:
    kafka = listing(kafka_settings, frozen, kafka_settings.bootstrap_servers)
    log = KafkaEventLog(kafka, IngestSettings().bounds(), IngestMetrics(CollectorRegistry()))
    began = time.monotonic()
    log.start()
    try:
        await until(lambda: log.not_ready() is None, within_s=30)
        assert time.monotonic() - began < 2.0 + _NORMAL_S
    finally:
        await log.close()


async def test_a_worker_is_ready_although_each_of_its_clients_meets_the_silent_broker(
    kafka_settings: KafkaSettings, frozen: str, tmp_path: Path
) -> None:
    """It waits for the broker, asks about topics and members, and starts a producer, a group, and a writer by lane."""
    listed = f"{frozen},{kafka_settings.bootstrap_servers}"
    async with trial(listed, partitions=2) as log, working(log.kafka, tmp_path) as worker:
        await until(lambda: worker.ready, within_s=30)


async def test_a_slow_broker_is_heard(kafka_settings: KafkaSettings) -> None:
    async with slow(kafka_settings.bootstrap_servers, by_s=1.5) as address:
        await an_admin_client(listing(kafka_settings, address))


async def test_a_broker_that_takes_longer_than_its_time_alone_is_heard_all_the_same(
    kafka_settings: KafkaSettings, frozen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where every TLS handshake is slow: who came first goes on while the next one is tried."""
    monkeypatch.setattr(bootstrap, "_ALONE_S", 0.1)
    async with slow(kafka_settings.bootstrap_servers, by_s=0.5) as address:
        await an_admin_client(listing(kafka_settings, address, frozen))


async def test_where_no_listed_broker_answers_a_client_says_so_when_its_request_is_over(
    kafka_settings: KafkaSettings, frozen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "_ALONE_S", 0.1)
    with silent() as other, pytest.raises(KafkaConnectionError, match="Unable to bootstrap"):
        async with admin(listing(kafka_settings, frozen, other), request_timeout_ms=500):
            pass
