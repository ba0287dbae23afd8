"""A store that is away, comes and goes, or is full: nothing is lost or doubled, and the sink says so."""

from typing import Any

import pytest

from services.shared.errors import Retryable
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.memory.store import MemoryStore
from services.warehouse.ports import StoreFull
from tests.integration.warehouse.sinks import caught_up, lag, send_events, sinking
from tests.support.waiting import until


@pytest.fixture
def partitions() -> int:
    """As many as the events of the test are written to."""
    return 4


class Flaky(MemoryStore):
    """Is away at times, also just after it has stored."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    def insert(self, table: str, rows: Any) -> None:
        self.tries += 1
        if self.tries % 3 == 1:
            raise Retryable("away")
        super().insert(table, rows)
        if self.tries % 3 == 2:
            raise Retryable("stored, and the answer lost")


async def test_nothing_is_lost_or_doubled_while_the_store_comes_and_goes(kafka_settings: KafkaSettings) -> None:
    sent = await send_events(kafka_settings, range(600))
    store = Flaky()

    async with sinking(kafka_settings, store, batch_rows=200) as (_, registry):
        await until(caught_up(kafka_settings, store, "usage-events"))
        await until(lambda: lag(registry) == 0)

    assert {row["event_id"]: row["account"] for row in store._in_order("events")} == sent
    assert store.tries > 6


class Away(MemoryStore):
    """Answers about positions only."""

    def insert(self, table: str, rows: Any) -> None:
        raise Retryable("away")


async def test_it_is_not_ready_and_still_stops_while_the_store_is_away(kafka_settings: KafkaSettings) -> None:
    store = Away()

    async with sinking(kafka_settings, store) as (sink, registry):
        await until(lambda: sink.not_ready() is None)
        await send_events(kafka_settings, range(10), ticks=False)
        await until(lambda: sink.not_ready() is not None)
        await until(lambda: lag(registry) == 10)

    assert store.positions() == {}


class Full(MemoryStore):
    """Has no room until somebody makes some."""

    room = False

    def insert(self, table: str, rows: Any) -> None:
        if not self.room:
            raise StoreFull("Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)")
        super().insert(table, rows)


async def test_a_full_disk_of_the_store_is_told_and_waited_out(kafka_settings: KafkaSettings) -> None:
    store = Full()

    async with sinking(kafka_settings, store) as (sink, registry):
        await until(lambda: sink.not_ready() is None)
        sent = await send_events(kafka_settings, range(10), ticks=False)
        await until(lambda: sink.not_ready() == "the disk of the store is full")
        store.room = True
        await until(lambda: sink.not_ready() is None and lag(registry) == 0)

    assert {row["event_id"]: row["account"] for row in store._in_order("events")} == sent
