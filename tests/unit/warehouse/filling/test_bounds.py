"""A batch ends at its bytes, whatever the fetcher would give."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from schemas import codec, released
from services.shared.errors import Retryable
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.filling.sink import KafkaSink
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.settings import WarehouseSettings
from tests.support.waiting import until

LARGEST_EVENT = 32 * 1024
EVENT = codec.encoder("usage_event")(json.loads((released.ROOT / "usage_event/examples/track.json").read_text("utf-8")))
PLACE = TopicPartition("usage-events", 0)


class Message(NamedTuple):
    offset: int
    value: bytes
    timestamp: int = 1
    key: bytes | None = None


class Backlog:
    """A fetcher with more than enough at hand, as aiokafka's is after a pause: bounded by nothing but `max_records`."""

    def __init__(self, value: bytes) -> None:
        self.given = 0
        self._value = value

    async def position(self, _place: TopicPartition) -> int:
        return self.given

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Message]]:
        assert timeout_ms > 0
        first, self.given = self.given, self.given + max_records
        return {PLACE: [Message(offset, self._value) for offset in range(first, self.given)]}


async def gathered(reader: Any, **settings: Any) -> list[Any]:
    sink = KafkaSink(
        KafkaSettings(), WarehouseSettings(**settings), MemoryStore(), WarehouseMetrics(CollectorRegistry())
    )
    return (await asyncio.wait_for(sink._gather(reader), 30)).get(("usage-events", 0), [])


async def test_a_batch_of_the_largest_events_goes_past_its_bytes_by_one_poll_at_most() -> None:
    reader = Backlog(b"x" * LARGEST_EVENT)

    messages = await gathered(reader, batch_seconds=60.0)

    size = sum(len(message.value) for message in messages)
    assert 16 << 20 <= size <= 32 << 20
    assert len(messages) == reader.given, "what was taken is in the batch"


async def test_a_batch_of_small_events_ends_at_its_rows() -> None:
    assert len(await gathered(Backlog(b"x" * 300), batch_seconds=60.0)) == 50_000


async def test_a_batch_of_few_rows_takes_no_more_than_these() -> None:
    assert len(await gathered(Backlog(b"x"), batch_seconds=60.0, batch_rows=7)) == 7


class Away(MemoryStore):
    """Counts how often it is tried."""

    tries = 0

    def insert(self, table: str, rows: Any) -> None:
        self.tries += 1
        raise Retryable("away")


async def test_while_the_store_is_away_three_batches_are_taken_and_no_more() -> None:
    reader: Any = Backlog(EVENT)
    store = Away()
    sink = KafkaSink(KafkaSettings(), WarehouseSettings(batch_rows=7), store, WarehouseMetrics(CollectorRegistry()))
    flow = asyncio.create_task(sink._flow(reader, [PLACE]))

    await until(lambda: store.tries >= 4)
    taken = reader.given
    sink._stop.set()
    await asyncio.wait([flow], timeout=30)

    assert taken == 3 * 7
    assert isinstance(flow.exception(), Retryable), "unstored, to be read again"
    assert store.positions() == {}
