"""A batch on the broker's disk that is not what was written: its partition stands still visibly, and of others nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from schemas.topics import TOPICS
from services.shared.kafka import topics
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.fetching import holes
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.domain.filters import EventFilter
from services.warehouse.domain.rows import TABLE_OF_TOPIC
from services.warehouse.memory.store import MemoryStore
from tests.integration.warehouse.sinks import EVENT, T0, producing, sinking
from tests.support.damaging import damage, erase, lengthen
from tests.support.topic_settings import alter
from tests.support.waiting import until
from tests.support.warehouse_events import example

pytestmark = pytest.mark.timeout(120)

PARTITIONS = 4
DAMAGED = 2
"""Beside others before it in an answer of the broker."""
EACH = 20


async def send(kafka: KafkaSettings, name: str, partitions: set[int]) -> set[str]:
    """Write events to partitions; return their ids."""
    value = example("usage_event/examples/track.json")
    sent = {f"{name}-{p}-{n}": p for p in partitions for n in range(EACH)}
    async with producing(kafka) as producer:
        topic = kafka.scoped("usage-events")
        await asyncio.gather(
            *[
                await producer.send(
                    topic, EVENT({**value, "event_id": each, "account": "acme", "occurred_at": T0}), partition=p
                )
                for each, p in sent.items()
            ]
        )
    return set(sent)


@pytest.mark.parametrize("harm", [damage, erase, lengthen])
async def test_a_damaged_batch_stops_its_partition_and_loses_nothing_of_others(
    own_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, harm: Callable[[EmbeddedBroker, str], None]
) -> None:
    monkeypatch.setattr(holes, "_NOTHING_FOR_S", 5.0)
    kafka = KafkaSettings(bootstrap_servers=own_broker.bootstrap, partitions=PARTITIONS)
    await topics.create(kafka, [TOPICS[name] for name in TABLE_OF_TOPIC])
    whole = set(range(PARTITIONS)) - {DAMAGED}
    sent = await send(kafka, "before", whole)
    await send(kafka, "damaged", {DAMAGED})
    harm(own_broker, f"usage-events-{DAMAGED}")
    store = MemoryStore()

    async with sinking(kafka, store) as (sink, registry):
        await until(lambda: "let another replica lead" in (sink.not_ready() or ""))
        sent |= await send(kafka, "after", whole)
        await until(lambda: all(store.positions().get(("usage-events", p)) == 2 * EACH for p in whole))

        assert {str(row["event_id"]) for row in store.events(EventFilter("acme", limit=1_000)).rows} == sent
        assert not store.positions().get(("usage-events", DAMAGED))
        labels = {"topic": "usage-events", "partition": str(DAMAGED)}
        assert registry.get_sample_value("tidemark_warehouse_stopped", labels) == 1
        assert f"usage-events/{DAMAGED} is damaged soon after offset 0" in str(sink.not_ready())


async def test_an_operator_lets_the_warehouse_pass_what_a_broker_does_not_give(own_broker: EmbeddedBroker) -> None:
    """As where a batch is lost on all replicas, or the topic was compacted for a while: the records before it can stay on the topic."""
    kafka = KafkaSettings(bootstrap_servers=own_broker.bootstrap, partitions=1)
    await topics.create(kafka, [TOPICS[name] for name in TABLE_OF_TOPIC])
    await alter(kafka, "usage-events", {"segment.bytes": str(1 << 20)})
    async with producing(kafka) as producer:
        for _ in range(4):
            await producer.send_and_wait("usage-events", b"no event" * 50_000, partition=0)
    sent = await send(kafka, "behind", {0})
    lengthen(own_broker, "usage-events-0")
    store = MemoryStore()

    async with sinking(kafka, store) as (sink, _):
        await until(lambda: "offsets 0 to 1 are not given, those behind them are" in (sink.not_ready() or ""))
    async with sinking(kafka, store, accept_gap=True) as (sink, _):
        await until(lambda: store.positions().get(("usage-events", 0)) == 4 + EACH)

        assert sink.not_ready() is None
        assert {str(row["event_id"]) for row in store.events(EventFilter("acme", limit=1_000)).rows} == sent
