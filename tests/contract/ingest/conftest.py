"""A real HTTP server on a free port, over the log in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from schemas import codec
from services.ingest.__main__ import application, server_options
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.http.app import IngestApp
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from services.shared.http.server import serving

SETTINGS = IngestSettings()


@dataclass
class Ingest:
    """What a wire test needs."""

    port: int
    client: httpx.AsyncClient
    log: MemoryEventLog
    metrics: IngestMetrics
    app: IngestApp

    async def batch(self, *events: Any, **more: Any) -> httpx.Response:
        """Send a batch of events that may be no JSON: bytes are put in as they are."""
        parts = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
        body = b'{"batch":[' + b",".join(parts) + b"]," + json.dumps({"sentAt": None, **more}).encode()[1:]
        return await self.client.post("/v1/batch", content=body)

    def events(self, topic: str = "usage-events") -> list[dict[str, Any]]:
        """Return the decoded records of a topic."""
        decoded = [codec.decode(record.value) for record in self.log.records[topic]]
        return [value for record, value in decoded if record != "user_link"]

    def details(self) -> list[dict[str, Any]]:
        """Return what events hold beyond the long log."""
        return self.events("usage-details")

    def letters(self) -> list[dict[str, Any]]:
        """Return the dead letters."""
        return self.events("usage-rejected")


class Server:
    """One HTTP server for a whole module; each test gives it an application of its own."""

    def __init__(self) -> None:
        self.port = 0
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """A module whose tests wait for a request to time out says after how long, as REQUEST_TIMEOUT_S."""
    served = Server()
    timeout_s = getattr(request.module, "REQUEST_TIMEOUT_S", SETTINGS.request_timeout_s)
    options = server_options(SETTINGS.model_copy(update={"request_timeout_s": timeout_s}))
    async with serving(served, "127.0.0.1", 0, **options) as served.port:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def ingest(server: Server) -> AsyncIterator[Ingest]:
    log = MemoryEventLog()
    metrics = IngestMetrics(CollectorRegistry())
    keys = WriteKeys(
        {
            "wk": WriteKey("", "web", client="server"),
            "staging": WriteKey("", "web", "staging", client="server"),
            "bf": WriteKey("", "import", backfill=True, client="server"),
            "page": WriteKey("", "site", client="browser", origins=("https://app.example",)),
            "slow": WriteKey("", "slow", events_per_s=10, burst_s=2, client="server"),
            "thin": WriteKey("", "thin", bytes_per_s=1_000, burst_s=1, client="server"),
            "old": WriteKey("", "web", not_after=datetime(2026, 1, 1, tzinfo=UTC), client="server"),
        },
        metrics,
    )
    server.app = application(log, keys, metrics, SETTINGS)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", auth=("wk", "")) as client:
        yield Ingest(server.port, client, log, metrics, server.app)


@pytest_asyncio.fixture(loop_scope="module")
async def anyone(ingest: Ingest) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends no key of its own."""
    async with httpx.AsyncClient(base_url=ingest.client.base_url) as client:
        yield client


@pytest.fixture
def slow_log(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The log acknowledges nothing until this event is set."""
    acknowledged = asyncio.Event()
    append = ingest.log.append

    async def slowly(records: Any) -> None:
        await acknowledged.wait()
        await append(records)

    monkeypatch.setattr(ingest.log, "append", slowly)
    return acknowledged
