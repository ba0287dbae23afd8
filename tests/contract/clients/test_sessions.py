"""An unchanged session of each client arrives: every event once, as the kind that it is, when it happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import client_programs
from tests.support.client_programs import CLIENTS, Client, Session
from tests.support.client_sessions import CALLS, AllAtOnce, Ended, Sessions
from tests.support.memory_ingest import MemoryIngest

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOCK_MS = 10_000
"""By which times may differ, though all clocks here are one: a busy machine takes its time between sending and receiving."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def all_clients(ingest: MemoryIngest, sessions: Sessions) -> AsyncIterator[AllAtOnce]:
    async def run(client: Client) -> Ended:
        session = Session(ingest.address, client.name, f"ann-{client.name}", f"acme-{client.name}")

        def arrived() -> bool:
            return len(ingest.events(client.name)) >= sum(CALLS.values())

        return await sessions.run(client.language, client.source(), session, arrived)

    every = AllAtOnce(run)
    yield every
    await every.close()


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
async def test_every_event_of_an_unchanged_session_arrives_once(
    ingest: MemoryIngest, all_clients: AllAtOnce, client: Client
) -> None:
    client_programs.require(client.language)

    session = await all_clients.ended(client)
    events = ingest.events(client.name)

    assert Counter(event["kind"] for event in events) == CALLS, session.said
    assert not ingest.rejected(client.name), session.said
    assert len({event["event_id"] for event in events}) == len(events)
    assert {event["id_source"] for event in events} == {"CLIENT"}
    assert {event["name"] for event in events if event["kind"] == "TRACK"} == {"Report Exported"}
    assert {event["name"] for event in events if event["kind"] == "PAGE"} == {f"Page {n}" for n in range(1, 7)}
    assert {event["account"] for event in events if event["kind"] == "GROUP"} == {f"acme-{client.name}"}
    assert len({event["user"] for event in events}) == 1
    for event in events:
        assert session.began_ms - CLOCK_MS <= event["occurred_at"] <= session.ended_ms + CLOCK_MS
        assert abs(event["skew_ms"]) <= CLOCK_MS
