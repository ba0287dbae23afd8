"""A console over a simulated past whose forms reach a real ingest, and what that accepted reaches the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from starlette.applications import Starlette

from schemas import codec
from schemas.topics import USAGE_DETAILS, USAGE_EVENTS
from services.console.api_client import InProcess
from services.console.app import console_app
from services.console.settings import ConsoleSettings
from services.shared.units import DAY_MS
from services.warehouse.domain.rows import TABLE_OF_TOPIC, Place, row
from services.warehouse.http.app import query_app
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from tests.bench.console.past import Past, now_ms, simulated
from tests.support.memory_ingest import MemoryIngest

WRITE_KEY = "console"
_EVERY = 5
"""Twelve of the sixty accounts, which is enough for a fleet factor."""
_FIRST_OFFSET = 10_000_000


def small_past() -> Past:
    """Return 35 weeks of twelve accounts, until this midnight."""
    return simulated(now_ms() // DAY_MS * DAY_MS, every=_EVERY)


class RecordingConsole:
    """The app, and the ingest that it records with."""

    def __init__(self, past: Past, ingest: MemoryIngest, history: str = "off") -> None:
        self.store = MemoryStore()
        for table, rows in past.tables.items():
            self.store.insert(table, rows)
        self.ingest = ingest
        settings = ConsoleSettings(
            currency="EUR", ingest=ingest.address, write_key=SecretStr(WRITE_KEY), history=history
        )
        api = query_app(lambda: self.store, WarehouseMetrics(CollectorRegistry()))
        self.app: Starlette = console_app(InProcess(api), settings, is_open=True)
        self._stored = {USAGE_EVENTS: 0, USAGE_DETAILS: 0}

    def store_what_arrived(self) -> None:
        """Store what ingest has written since the last time, as the sink does."""
        for topic, known in self._stored.items():
            records = self.ingest.log.records[topic][known:]
            self._stored[topic] += len(records)
            for place, record in enumerate(records, known):
                kind, value = codec.decode(record.value)
                made = row(Place(topic, 0, _FIRST_OFFSET + place, value["received_at"]), kind, value)
                if made is not None:
                    self.store.insert(TABLE_OF_TOPIC[topic], [made])


@asynccontextmanager
async def recording_console(past: Past, history: str = "off") -> AsyncIterator[RecordingConsole]:
    """Run the ingest of a console."""
    ingest = MemoryIngest([WRITE_KEY])
    await ingest.start()
    try:
        yield RecordingConsole(past, ingest, history)
    finally:
        await ingest.stop()
