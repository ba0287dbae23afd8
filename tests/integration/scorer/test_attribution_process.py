"""Ingest, attribution and the lanes of accounts as processes: sessions in which only identify and group name anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas import codec
from schemas.topics import DEAD_LETTERS, USAGE_UNATTRIBUTED
from services.cli import ledger_audit
from services.cli.ledger_audit import Ledger
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import HOUR_MS
from tests.support.attribution import KIM, encode, event, read
from tests.support.ingest import user as pseudonym
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(170)]

EVENTS = 19
"""Of a session."""


def session(user: str, account: str) -> list[dict[str, Any]]:
    """Return what Segment's own SDK sends: a page before the login, then everything under both ids."""
    anonymous = f"anon-{user}"
    both = {"userId": user, "anonymousId": anonymous}
    calls: list[dict[str, Any]] = [
        {"type": "page", "name": "Home", "anonymousId": anonymous},
        {"type": "identify", **both, "traits": {"name": "Kim"}},
        {"type": "group", **both, "groupId": account, "traits": {"name": "Acme"}},
    ]
    calls += [{"type": "track", "event": "Report Shared", **both} for _ in range(10)]
    calls += [{"type": "page", "name": "Reports", **both} for _ in range(6)]
    return [{**call, "messageId": f"{user}-{number}"} for number, call in enumerate(calls)]


@pytest.fixture
async def ingest(kafka_settings: KafkaSettings, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    keys = tmp_path / "keys.yaml"
    keys.write_text(entry("wk", "web", client="browser"))
    process = ServiceProcess("ingest", kafka_settings, tmp_path, TIDEMARK_WRITE_KEYS_FILE=str(keys))
    await process.start()
    try:
        async with asyncio.timeout(60):
            while not await process.ready():
                await asyncio.sleep(0.05)
        yield process
    finally:
        await process.kill()


@pytest.fixture
async def scorer(kafka_settings: KafkaSettings, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    process = ServiceProcess("scorer", kafka_settings, tmp_path, TIDEMARK_ENGINE_INSTANCE="scorer-under-test")
    await process.start()
    try:
        yield process
    finally:
        await process.kill()


async def send(ingest: ServiceProcess, calls: list[dict[str, Any]]) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ingest.port}", auth=("wk", "")) as http:
        (await http.post("/v1/batch", json={"batch": calls})).raise_for_status()


async def settled(kafka: KafkaSettings, applied: int) -> Ledger:
    """Return the ledger once so many events have been applied and nothing is in flight."""
    read: list[Ledger] = []

    async def over() -> bool:
        found = await ledger_audit.read(kafka)
        read[:] = [found]
        return found.total("applied") >= applied and not found.everywhere("in_flight")

    await until(over, 120)
    return read[0]


async def test_sessions_that_name_their_account_once_are_scored_whole_though_the_scorer_is_killed(
    kafka_settings: KafkaSettings, ingest: ServiceProcess, scorer: ServiceProcess
) -> None:
    users = [f"user-{number}" for number in range(12)]
    for user in users[:6]:
        await send(ingest, session(user, "acme"))
    async with asyncio.timeout(60):
        while not await scorer.ready():
            await asyncio.sleep(0.05)
    await scorer.kill()
    await scorer.start()
    for user in users[6:]:
        await send(ingest, session(user, "acme"))
        await send(ingest, session(user, "acme"))  # as an SDK does that got no answer

    found = await settled(kafka_settings, len(users) * EVENTS)

    assert found.problems == []
    assert (found.accepted, found.total("applied")) == (len(users) * EVENTS, len(users) * EVENTS)
    assert found.without_account("awaiting") == 0
    assert found.without_account("forwarded") == len(users) * (EVENTS - 1)
    kinds = {codec.decode(r.value or b"")[0] async for r in scan(kafka_settings, "usage-unattributed")}
    assert kinds == {"usage_event", "user_link", "tick"}  # its lanes have a ticker of their own
    people: set[str] = set()
    async for record in scan(kafka_settings, "usage-events"):
        name, value = codec.decode(record.value or b"")
        if name == "usage_event":
            assert value["account"] == "acme"
            people.add(value["user"])
    assert people == {pseudonym(user) for user in users}  # the visitor before the login is nobody of their own
    health = [codec.decode(r.value)[1] async for r in scan(kafka_settings, "account-health") if r.value]
    assert health
    assert {snapshot["account"] for snapshot in health} == {"acme"}


async def test_what_nobody_knows_the_account_of_is_given_up_once_all_lanes_have_read_the_log(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    # Given an event of two hours ago on the log of a scorer that lets events wait for one hour
    then = time.time_ns() // 1_000_000 - 2 * HOUR_MS
    async with producer(kafka_settings) as out:
        value = encode("usage_event", event("e1", KIM, then))
        await out.send_and_wait(kafka_settings.scoped(USAGE_UNATTRIBUTED), value, key=KIM.encode())
    process = ServiceProcess(
        "scorer", kafka_settings, tmp_path, TIDEMARK_ENGINE_INSTANCE="scorer-2", TIDEMARK_ATTRIBUTION_WAIT_HOURS="1"
    )

    async def given_up() -> bool:
        return [read(r.value or b"")["reason"] async for r in scan(kafka_settings, DEAD_LETTERS)] == ["no_account"]

    await process.start()
    try:
        await until(given_up, 120)
    finally:
        await process.kill()
    records = [read(r.value or b"") async for r in scan(kafka_settings, USAGE_UNATTRIBUTED)]
    assert {each["settled"] > then + HOUR_MS for each in records if "settled" in each} == {True, False}
