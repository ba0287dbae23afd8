"""An unchanged session of each client arrives: every event once, as the kind that it is, when it happened."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import client_programs
from tests.support.client_programs import CLIENTS, Client, Session
from tests.support.memory_ingest import MemoryIngest
from tests.support.pages import Pages
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = {"IDENTIFY": 1, "GROUP": 1, "TRACK": 10, "PAGE": 6}
CLOCK_MS = 2_000
"""Between the clocks of a client and of this process, which are one: what rounding and a slow machine make of it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A session that has ended."""

    began_ms: float
    ended_ms: float
    said: str


class Sessions:
    """Starts the sessions of all clients at once, as they wait more than they compute."""

    def __init__(self, ingest: MemoryIngest, folder: Path) -> None:
        self._ingest = ingest
        self._folder = folder
        self._pages = Pages()
        self._at_once = asyncio.Semaphore(3)
        self._running: dict[str, asyncio.Task[Sent]] = {}

    async def sent(self, client: Client) -> Sent:
        """Wait for the end of a client's session."""
        for other in (client, *CLIENTS.values()):
            if other.name not in self._running and client_programs.missing(other.language) is None:
                self._running[other.name] = asyncio.create_task(self._send(other))
        return await self._running[client.name]

    async def close(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self._pages.close()

    async def _send(self, client: Client) -> Sent:
        folder = self._folder / client.name
        folder.mkdir()
        session = Session(self._ingest.address, client.name, f"ann-{client.name}", f"acme-{client.name}")
        async with self._at_once:
            if client.in_browser:
                files = await client_programs.page_files(client.language, client.source(), session, folder)
                began = time.time()
                page = await self._pages.open(client.name, files)
                await until(
                    lambda: len(self._ingest.events(client.name)) >= sum(KINDS.values()),
                    20,
                    lambda: f"{len(self._ingest.events(client.name))} events; {self._pages.said[client.name]}",
                )
                await page.wait_for_load_state("networkidle")
                said = "\n".join(self._pages.said[client.name])
            else:
                command = await client_programs.build(client.language, client.source(), folder)
                began = time.time()
                said = await client_programs.run(command, session)
        return Sent(began * 1000, time.time() * 1000, said)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sessions(ingest: MemoryIngest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sessions]:
    running = Sessions(ingest, tmp_path_factory.mktemp("clients"))
    yield running
    await running.close()


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
async def test_every_event_of_an_unchanged_session_arrives_once(
    ingest: MemoryIngest, sessions: Sessions, client: Client
) -> None:
    client_programs.require(client.language)

    sent = await sessions.sent(client)
    events = ingest.events(client.name)

    assert Counter(event["kind"] for event in events) == KINDS, sent.said
    assert not ingest.rejected(client.name), sent.said
    assert len({event["event_id"] for event in events}) == len(events)
    assert {event["id_source"] for event in events} == {"CLIENT"}
    assert {event["name"] for event in events if event["kind"] == "TRACK"} == {"Report Exported"}
    assert {event["name"] for event in events if event["kind"] == "PAGE"} == {f"Page {n}" for n in range(1, 7)}
    assert {event["account"] for event in events if event["kind"] == "GROUP"} == {f"acme-{client.name}"}
    assert len({event["user"] for event in events}) == 1
    for event in events:
        assert sent.began_ms - CLOCK_MS <= event["occurred_at"] <= sent.ended_ms + CLOCK_MS
        assert abs(event["skew_ms"]) <= CLOCK_MS
