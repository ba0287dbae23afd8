"""What is pushed back arrives later: with every client, while ingest refuses, a proxy answers 503, or nobody listens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import client_programs
from tests.support.client_programs import CLIENTS, Client, Session
from tests.support.client_sessions import CALLS, AllAtOnce, Ended, Sessions
from tests.support.memory_ingest import MemoryIngest
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

AWAY_S = 1.0
QUICK = {name: client for name, client in CLIENTS.items() if name not in ("segment-java", "segment-go")}
"""Java repeats after 15 s at the earliest, and Go only while its program goes on."""


class PushedBack:
    """An ingest for each client and status, which answers nothing else until the client has met it."""

    def __init__(self, sessions: Sessions, status: int) -> None:
        self.status = status
        self.ingest = {name: MemoryIngest([name]) for name in CLIENTS}
        self._sessions = sessions
        self.all = AllAtOnce(self.run, QUICK)

    async def run(self, client: Client) -> Ended:
        ingest = self.ingest[client.name]
        await ingest.start()
        if self.status == 429:
            ingest.log.refuse("the broker is away")
        ingest.unavailable = self.status == 503
        mending = asyncio.create_task(self._mend(ingest))
        session = Session(ingest.address, client.name, f"ann-{client.name}", "acme")
        try:
            return await self._sessions.run(
                client.language,
                client.source(),
                session,
                lambda: len(ingest.events(client.name)) >= sum(CALLS.values()),
            )
        finally:
            mending.cancel()
            await ingest.stop()

    async def _mend(self, ingest: MemoryIngest) -> None:
        # A session may wait long for its turn; when it ends, so does this.
        await until(lambda: any(answer.status == self.status for answer in ingest.answers), within_s=600)
        await asyncio.sleep(AWAY_S)  # the length of the outage itself
        ingest.log.accept()
        ingest.unavailable = False


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pushed_back(sessions: Sessions) -> AsyncIterator[dict[int, PushedBack]]:
    both = {status: PushedBack(sessions, status) for status in (429, 503)}
    yield both
    for one in both.values():
        await one.all.close()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("client", QUICK.values(), ids=QUICK)
async def test_what_was_pushed_back_arrives_and_counts_once(
    pushed_back: dict[int, PushedBack], client: Client, status: int
) -> None:
    """Now and then Segment's browser SDK sends again what was accepted: with the same id, by which the scorer drops it."""
    client_programs.require(client.language)
    for one in pushed_back.values():
        one.all.start()

    session = await pushed_back[status].all.ended(client)
    ingest = pushed_back[status].ingest[client.name]

    assert any(answer.status == status for answer in ingest.answers)
    calls = {(event["event_id"], event["kind"], event["name"]) for event in ingest.events(client.name)}
    assert Counter(kind for _, kind, _ in calls) == CALLS, session.said
    assert len({event_id for event_id, _, _ in calls}) == len(calls)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_go_program_that_ends_meanwhile_loses_what_it_holds(
    pushed_back: dict[int, PushedBack], status: int
) -> None:
    """As docs/clients.md warns: its Close sends once more, and does not repeat."""
    client_programs.require("go")

    session = await pushed_back[status].run(CLIENTS["segment-go"])

    assert "18 messages dropped because they failed to be sent and the client was closed" in session.said


async def test_rudderstacks_node_sdk_ends_its_process_unless_errors_are_handled(sessions: Sessions) -> None:
    """As docs/clients.md warns, and shows how to avoid."""
    client_programs.require("commonjs")
    ingest = MemoryIngest(["wk"])
    ingest.unavailable = True
    await ingest.start()
    source = CLIENTS["rudderstack-node"].source()
    handled = source.replace("{ dataPlaneUrl: INGEST }", "{ dataPlaneUrl: INGEST, errorHandler: console.error }")
    session = Session(ingest.address, "wk", "ann", "acme")

    plain, careful = await asyncio.gather(
        sessions.run("commonjs", source, session, lambda: True),
        sessions.run("commonjs", handled, session, lambda: True),
        return_exceptions=True,
    )
    await ingest.stop()

    assert handled != source
    assert isinstance(plain, RuntimeError) and "Service Unavailable" in str(plain)
    assert isinstance(careful, Ended)
