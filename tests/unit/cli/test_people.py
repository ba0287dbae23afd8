"""Signals in a terminal name people where the warehouse knows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from services.cli.people import People
from services.shared.http.server import serving
from services.warehouse.domain.rows import columns
from services.warehouse.http.app import query_app
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics

KIM, LEE = "u_5pQ0m2c9XbT1r8sZk4Yw", "u_Jd03hHq8vRk2L5nW7xAe"


@pytest.fixture
async def warehouse() -> AsyncIterator[str]:
    store = MemoryStore()
    known = {"topic": "usage-details", "partition": 0, "offset": 0, "user": KIM, "user_id": "kim"}
    store.insert("event_details", [tuple(known.get(name, "") for name in columns("event_details"))])
    app = query_app(lambda: store, WarehouseMetrics(CollectorRegistry()))
    async with serving(app, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


async def test_who_is_known_is_named_and_who_is_not_keeps_the_pseudonym(warehouse: str) -> None:
    signal = {"summary": f"{KIM} answered 2 out of 10, {LEE} 3", "rule": "nps_detractor"}

    found = await People(warehouse).in_signal(signal)

    assert found == {"summary": f"kim answered 2 out of 10, {LEE} 3", "rule": "nps_detractor"}


@pytest.mark.parametrize("address", [None, "http://127.0.0.1:9"])
async def test_without_a_warehouse_signals_are_shown_as_they_are(address: str | None) -> None:
    signal = {"summary": f"{KIM} answered 2 out of 10"}

    assert await People(address).in_signal(signal) == signal


async def test_people_of_past_signals_are_not_waited_for(warehouse: str) -> None:
    people, signal = People(warehouse), {"summary": f"{LEE} answered 3 out of 10"}

    async with asyncio.timeout(2):
        assert await people.in_signal(signal, new=False) == signal


async def test_nobody_is_waited_for_twice(warehouse: str) -> None:
    people, signal = People(warehouse), {"summary": f"{LEE} answered 3 out of 10"}
    await people.in_signal(signal)

    async with asyncio.timeout(2):
        assert await people.in_signal(signal) == signal
