"""
Every use event of an unchanged session is scored on the account that its group call names.

The whole way: real clients, ingest, Kafka, attribution, the scorer. No client puts the account on its track and page calls:
what the group call said before, or says later, has to be enough.
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas import codec
from schemas.topics import USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.shared.kafka import clients, topics
from services.shared.kafka.settings import KafkaSettings
from tests.conftest import Kafka
from tests.support import client_programs
from tests.support.client_programs import CLIENTS, Client, Session
from tests.support.client_sessions import CALLS, AllAtOnce, Ended, Sessions
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(170), pytest.mark.asyncio(loop_scope="module")]

SERVICES = ("ingest", "scorer")
USE = ("TRACK", "PAGE")
SCORED_WITHIN_S = 30.0


class Stack:
    """The services on topics of their own, and what is on these topics."""

    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        self._kafka = kafka
        keys = folder / "keys.yaml"
        held_by = {True: "browser", False: "server"}
        keys.write_text("".join(entry(name, name, client=held_by[c.in_browser]) for name, c in CLIENTS.items()))
        self.processes = {
            name: ServiceProcess(
                name, kafka, folder, TIDEMARK_WRITE_KEYS_FILE=str(keys), TIDEMARK_ENGINE_INSTANCE="clients"
            )
            for name in SERVICES
        }
        self._consumer = clients.consumer(kafka, USAGE_EVENTS, USAGE_UNATTRIBUTED)
        self._ids: defaultdict[str, set[str]] = defaultdict(set)
        """By source: the ids of all events that were accepted."""
        self._scored: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        """By source and account: the kinds of the events that the scorer reads, by id."""

    async def start(self) -> None:
        """Start everything, and wait until it is ready."""
        await topics.create(self._kafka)
        for process in self.processes.values():
            await process.start()
        await self._consumer.start()
        for process in self.processes.values():
            await until(process.ready, 60, lambda: "\n".join(p.log.read_text() for p in self.processes.values()))

    async def stop(self) -> None:
        """Stop everything, and delete the topics."""
        await self._consumer.stop()
        for process in self.processes.values():
            if process.process is not None:
                await process.stop()
        await topics.delete(self._kafka)

    async def read(self) -> None:
        """Take note of what is new on the topics."""
        for partition, records in (await self._consumer.getmany(timeout_ms=100)).items():
            for record in records:
                name, event = codec.decode(record.value)
                if name == "usage_event":
                    self._note(partition.topic == self._kafka.scoped(USAGE_EVENTS), event)

    def _note(self, attributed: bool, event: dict[str, Any]) -> None:
        self._ids[event["source"]].add(event["event_id"])
        if attributed:
            self._scored[event["source"], event["account"]][event["event_id"]] = event["kind"]

    def accepted(self, source: str) -> int:
        """Return how many different events of a source were accepted."""
        return len(self._ids[source])

    def scored(self, source: str, account: str) -> int:
        """Return how many use events of a source the scorer has got for an account."""
        return sum(kind in USE for kind in self._scored[source, account].values())

    def ids(self) -> int:
        """Return how many different events the scorer has got."""
        return sum(len(events) for events in self._scored.values())

    async def outcomes(self) -> dict[str, int]:
        """Return what the scorer made of the events, by outcome."""
        page = (await self.processes["scorer"].metrics()).splitlines()
        lines = [line.rpartition(" ") for line in page if line.startswith("tidemark_scorer_events_total{")]
        return {name.split('"')[1]: int(float(value)) for name, _, value in lines}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    prefix = f"c{uuid.uuid4().hex[:12]}-"
    running = Stack(
        KafkaSettings(bootstrap_servers=kafka.bootstrap, topic_prefix=prefix, partitions=2),
        tmp_path_factory.mktemp("stack"),
    )
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def all_clients(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AllAtOnce]:
    sessions = Sessions(tmp_path_factory.mktemp("clients"))
    address = f"http://127.0.0.1:{stack.processes['ingest'].port}"

    async def run(client: Client) -> Ended:
        async def arrived() -> bool:
            await stack.read()
            return stack.accepted(client.name) >= sum(CALLS.values())

        session = Session(address, client.name, f"ann-{client.name}", f"acme-{client.name}")
        return await sessions.run(client.language, client.source(), session, arrived)

    every = AllAtOnce(run)
    yield every
    await every.close()
    await sessions.close()


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
async def test_every_use_event_of_an_unchanged_session_is_scored(
    stack: Stack, all_clients: AllAtOnce, client: Client, record_property: Any
) -> None:
    client_programs.require(client.language)
    use = sum(CALLS[kind] for kind in USE)

    session = await all_clients.ended(client)
    until_s = session.ended_ms / 1000 + SCORED_WITHIN_S
    while stack.scored(client.name, f"acme-{client.name}") < use and time.time() < until_s:
        await stack.read()
    accepted, scored = stack.accepted(client.name), stack.scored(client.name, f"acme-{client.name}")
    calls = sum(CALLS.values())
    row = {"client": client.name, "calls": calls, "accepted": accepted, "use events": use, "scored": scored}
    record_property("table: sessions of clients", {name: str(value) for name, value in row.items()})

    assert accepted == calls, session.said
    assert scored == use


async def test_what_the_scorer_got_it_has_counted_once(stack: Stack, all_clients: AllAtOnce) -> None:
    """After the sessions of all clients: nothing is dead-lettered, too late or counted twice."""
    await all_clients.all_ended()

    async def counted() -> bool:
        await stack.read()
        return (await stack.outcomes())["applied"] >= stack.ids() > 0

    await until(counted, SCORED_WITHIN_S)
    outcomes = await stack.outcomes()

    assert outcomes.pop("applied") == stack.ids()
    outcomes.pop("duplicate", None)
    assert not any(outcomes.values())
