"""The warehouse on a real broker: each record is stored once, whatever is killed, aborted, replayed or away."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from schemas import codec
from schemas.topics import TOPICS
from services.shared.errors import Fatal
from services.shared.kafka import clients, topics
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.partition import TopicPartition
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.clickhouse.store import open_embedded
from services.warehouse.domain.erasing import Erasure
from services.warehouse.domain.filters import AccountFilter, EventFilter, SignalFilter
from services.warehouse.domain.rows import Place
from services.warehouse.filling.sink import KafkaSink
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.settings import WarehouseSettings
from tests.integration.warehouse.sinks import (
    EVENT,
    TICK,
    caught_up,
    end_offsets,
    lag,
    producing,
    raw,
    send_events,
    sinking,
)
from tests.support.waiting import until
from tests.support.warehouse_events import example


@pytest.fixture
def partitions() -> int:
    """As many as the tests name."""
    return 4


class Warehouse:
    """A warehouse process, to be killed."""

    def __init__(self, kafka: KafkaSettings, data: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TIDEMARK_TOPIC_PREFIX": kafka.topic_prefix,
            "TIDEMARK_PARTITIONS": str(kafka.partitions),
            "TIDEMARK_HTTP_PORT": str(self.port),
            "TIDEMARK_DATA_DIR": str(data),
            "TIDEMARK_WAREHOUSE_BATCH_ROWS": "500",
            "TIDEMARK_WAREHOUSE_BATCH_SECONDS": "0.05",
        }
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "services.warehouse"], env=self._environment)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    async def metric(self, name: str) -> float | None:
        """The sum of a metric's samples, None while the process does not answer or does not know it yet."""
        try:
            async with httpx.AsyncClient() as client:
                text = (await client.get(f"{self.url}/metrics")).text
        except httpx.TransportError:
            return None
        found = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name)]
        return sum(found) if found else None


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_each_record_is_stored_once_though_the_warehouse_is_killed_again_and_again(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    sent = await send_events(kafka_settings, range(15_000))
    chance = random.Random(4)
    warehouse = Warehouse(kafka_settings, tmp_path)
    try:
        for _ in range(3):
            goal = chance.randrange(400, 3_000)

            async def stored_enough(goal: int = goal) -> bool:
                return (await warehouse.metric('tidemark_warehouse_rows_total{table="events"}') or 0) >= goal

            await until(stored_enough)
            warehouse.end(signal.SIGKILL)
            sent |= await send_events(kafka_settings, range(len(sent), len(sent) + 1_000))
            warehouse.start()

        async def without_lag() -> bool:
            stored = await warehouse.metric("tidemark_warehouse_position{")
            ends = sum((await end_offsets(kafka_settings, "usage-events")).values())
            return stored == ends and await warehouse.metric("tidemark_warehouse_lag_records") == 0

        await until(without_lag)
        assert warehouse.end(signal.SIGTERM) == 0
    finally:
        if warehouse.process.poll() is None:
            warehouse.end(signal.SIGKILL)

    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    try:
        found = raw(store, "SELECT event_id, account FROM events FINAL")
        assert len(found) == len(sent)
        assert {str(event): str(account) for event, account in found} == sent
        assert raw(store, "SELECT sum(events) FROM account_days") == [(len(sent),)]
    finally:
        store.close()


@pytest.mark.timeout(120)
async def test_reading_everything_again_finds_nothing_twice(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    sent = await send_events(kafka_settings, range(3_000))
    store = open_embedded(tmp_path / "clickhouse", "tidemark")

    class Forgetful:
        """The store, with its positions forgotten."""

        insert = staticmethod(store.insert)
        note_erasures = staticmethod(store.note_erasures)
        erasures = staticmethod(store.erasures)
        erase = staticmethod(store.erase)
        forget_orders = staticmethod(store.forget_orders)
        traces = staticmethod(store.traces)
        note_sources = staticmethod(store.note_sources)
        sources = staticmethod(store.sources)

        def note_positions(self, positions: Mapping[TopicPartition, int]) -> None:
            pass

        def positions(self) -> dict[TopicPartition, int]:
            return {}

    try:
        for _ in range(2):
            async with sinking(kafka_settings, Forgetful(), batch_rows=700) as (_, registry):
                ends = sum((await end_offsets(kafka_settings, "usage-events")).values())
                await until(lambda r=registry, e=ends: _position(r) == e)  # type: ignore[misc]

        assert raw(store, "SELECT count(), uniqExact(event_id) FROM events FINAL") == [(len(sent), len(sent))]
        assert raw(store, "SELECT count() FROM events_unique") == [(len(sent),)]
        assert raw(store, "SELECT sum(events) FROM account_days") == [(len(sent),)]
    finally:
        store.close()


async def test_after_a_merge_on_a_full_disk_the_sink_ends_and_the_next_one_has_everything(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    sent = await send_events(kafka_settings, range(500))
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    sink = KafkaSink(
        kafka_settings, WarehouseSettings(batch_seconds=0.05), store, WarehouseMetrics(CollectorRegistry())
    )
    running = asyncio.create_task(sink.run(asyncio.Event()))
    try:
        await until(caught_up(kafka_settings, store, "usage-events"))
        with store._reader() as reader:
            reader.command("OPTIMIZE TABLE events FINAL")
            merged = "SELECT path FROM system.parts WHERE database = 'tidemark' AND table = 'events' AND active"
            for file in Path(reader.query(merged).result_rows[0][0]).iterdir():
                os.truncate(file, 0)  # as the engine leaves it on a full disk
            reader.command("INSERT INTO FUNCTION file('/dev/full', 'CSV') SELECT 1")
        sent |= await send_events(kafka_settings, range(500, 520))

        with pytest.raises(Fatal, match="a write of the embedded store failed"):
            await asyncio.wait_for(running, 30)
    finally:
        running.cancel()
        store.close()

    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    try:
        async with sinking(kafka_settings, store):
            await until(caught_up(kafka_settings, store, "usage-events"))
        assert raw(store, "SELECT count(), uniqExact(event_id) FROM events FINAL") == [(len(sent), len(sent))]
        assert raw(store, "SELECT sum(events) FROM account_days") == [(len(sent),)]
    finally:
        store.close()


def _position(registry: CollectorRegistry) -> float:
    return sum(
        s.value
        for m in registry.collect()
        for s in m.samples
        if s.name == "tidemark_warehouse_position" and s.labels["topic"] == "usage-events"
    )


async def test_aborted_snapshots_are_not_stored_and_leave_no_lag(kafka_settings: KafkaSettings) -> None:
    encode = codec.encoder("account_health")
    topic = kafka_settings.scoped("account-health")
    producer = clients.transactional_producer(kafka_settings, "test-lane")
    await producer.start()
    for n, commit in enumerate([True, False, True, False]):
        await producer.begin_transaction()
        value = example("account_health/examples/red.json", account="acme", sequence=n)
        await producer.send_and_wait(topic, encode(value), key=b"acme", partition=0)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    await producer.stop()
    store = MemoryStore()

    async with sinking(kafka_settings, store) as (_, registry):
        await until(lambda: lag(registry) == 0 and len(store.history("acme", 10)) > 0)

    assert [s["sequence"] for s in store._in_order("account_health")] == [0, 2]
    assert (
        store.positions()["account-health", 0]
        == (await end_offsets(kafka_settings, "account-health"))["account-health", 0]
    )


async def test_what_lies_behind_a_transaction_that_stays_open_shows_as_lag(kafka_settings: KafkaSettings) -> None:
    other = clients.transactional_producer(kafka_settings, "other")
    await other.start()
    async with sinking(kafka_settings, MemoryStore()) as (_, registry):
        await until(lambda: lag(registry) == 0)

        await other.begin_transaction()
        await other.send_and_wait(kafka_settings.scoped("account-health"), b"", key=b"acme")
        await until(lambda: lag(registry) == 1)

        await other.abort_transaction()
        await until(lambda: lag(registry) == 0)
    await other.stop()


async def test_a_topic_of_nothing_but_ticks_is_not_read_again(kafka_settings: KafkaSettings) -> None:
    async with producing(kafka_settings) as producer:
        for _ in range(20):
            await producer.send_and_wait(kafka_settings.scoped("usage-events"), TICK, partition=1)
    store = MemoryStore()

    async with sinking(kafka_settings, store) as (_, registry):
        await until(lambda: _position(registry) == 20)

    assert store.positions() == {("usage-events", 1): 20}
    assert store.events(EventFilter("")).rows == []


async def test_a_forgotten_account_is_stored_as_such(kafka_settings: KafkaSettings) -> None:
    health, forgotten = codec.encoder("account_health"), codec.encoder("account_forgotten")
    topic = kafka_settings.scoped("account-health")
    async with producing(kafka_settings) as producer:
        for account in ("acme", "globex"):
            value = health(example("account_health/examples/red.json", account=account))
            await producer.send_and_wait(topic, value, key=account.encode())
        value = forgotten(example("account_forgotten/examples/silent.json", account="acme"))
        await producer.send_and_wait(topic, value, key=b"acme")
    store = MemoryStore()

    async with sinking(kafka_settings, store):
        await until(caught_up(kafka_settings, store, "account-health"))

    assert [a["account"] for a in store.accounts(AccountFilter()).rows] == ["globex"]
    assert len(store.history("acme", 10)) == 1


async def test_an_erasure_that_is_finished_at_the_start_is_told(kafka_settings: KafkaSettings) -> None:
    store = MemoryStore()
    store.note_erasures([Erasure(Place("usage-details", 0, 5, 1_000), "", "", "acme", 1_000, "dpo")])
    told: list[bool] = []

    async with sinking(kafka_settings, store, lambda _, erased: told.append(erased)):
        await until(lambda: bool(told))

    assert told[0]
    assert [order.done for order in store.erasures()] == [True]


async def test_a_store_that_is_ahead_of_its_topic_stops_the_start(kafka_settings: KafkaSettings) -> None:
    store = MemoryStore()
    store.note_positions({("usage-events", 0): 1_000})

    sink = KafkaSink(kafka_settings, WarehouseSettings(), store, WarehouseMetrics(CollectorRegistry()))

    with pytest.raises(Fatal, match="made anew"):
        await asyncio.wait_for(sink.run(asyncio.Event()), 30)


async def test_a_topic_that_was_made_anew_stops_the_start_though_it_has_outgrown_the_position(
    kafka_settings: KafkaSettings,
) -> None:
    store = MemoryStore()
    await send_events(kafka_settings, range(20))
    async with sinking(kafka_settings, store):
        await until(caught_up(kafka_settings, store, "usage-events"))
    await topics.delete(kafka_settings, [TOPICS["usage-events"]])
    await until(lambda: _made_anew(kafka_settings), 30)
    await send_events(kafka_settings, range(100, 400))

    sink = KafkaSink(kafka_settings, WarehouseSettings(), store, WarehouseMetrics(CollectorRegistry()))

    with pytest.raises(Fatal, match=r"usage-events is not the topic .* made anew; set CLICKHOUSE_DATABASE"):
        await asyncio.wait_for(sink.run(asyncio.Event()), 30)


async def _made_anew(kafka: KafkaSettings) -> bool:
    """A topic may be created again once its deletion is done."""
    return bool(await topics.create(kafka, [TOPICS["usage-events"]]))


async def test_every_topic_reaches_its_table_and_unreadable_records_are_passed_over(
    kafka_settings: KafkaSettings,
) -> None:
    sent = {
        "usage-unattributed": ("usage_event", "usage_event/examples/unattributed.json"),
        "account-health": ("account_health", "account_health/examples/red.json"),
        "risk-signals": ("signal", "signal/examples/usage_decline_firing.json"),
        "expansion-signals": ("signal", "signal/examples/seat_saturation_firing.json"),
    }
    async with producing(kafka_settings) as producer:
        for topic, (record, path) in sent.items():
            await producer.send_and_wait(kafka_settings.scoped(topic), b"junk", key=b"acme")
            data = codec.encoder(record)(example(path))
            await producer.send_and_wait(kafka_settings.scoped(topic), data, key=b"acme")
    store = MemoryStore()

    async with sinking(kafka_settings, store):
        await until(caught_up(kafka_settings, store, *sent))

    assert {s["rule"] for s in store.signals(SignalFilter()).rows} == {"usage_decline", "seat_saturation"}
    assert store.latest("acme") is not None
    assert len(store.events(EventFilter("")).rows) == 1


@pytest.mark.timeout(120)
@pytest.mark.parametrize("batch_rows", [20_000, 1])  # with 1 the next batch is gathered when the record is met
async def test_a_record_of_a_newer_version_stops_its_partition_visibly_and_no_other(
    kafka_settings: KafkaSettings, batch_rows: int
) -> None:
    newer = b"\x00\x00\x00\x00\xff a record of a later version"
    topic = kafka_settings.scoped("usage-events")
    value = EVENT(example("usage_event/examples/track.json"))
    async with producing(kafka_settings) as producer:
        for data in (value, newer, value):
            await producer.send_and_wait(topic, data, key=b"acme", partition=0)
    store = MemoryStore()

    for _ in range(2):  # a restart of the same version stands at the same record
        async with sinking(kafka_settings, store, batch_rows=batch_rows) as (sink, registry):
            await until(lambda s=sink: "at offset 1" in (s.not_ready() or ""))  # type: ignore[misc]
            async with producing(kafka_settings) as producer:
                end = (await producer.send_and_wait(topic, value, key=b"other", partition=1)).offset + 1
            await until(lambda e=end: store.positions().get(("usage-events", 1)) == e)  # type: ignore[misc]

            labels = {"topic": "usage-events", "partition": "0"}
            assert store.positions()["usage-events", 0] == 1
            assert registry.get_sample_value("tidemark_warehouse_stopped", labels) == 1
            assert "install the version" in str(sink.not_ready())
