"""What the tracking plan counts as use, from a request to ingest to what the warehouse tells of an account."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS
from services.warehouse.clickhouse.store import open_embedded
from services.warehouse.domain.filters import EventFilter, PeopleFilter
from tests.integration.warehouse.sinks import caught_up, raw, sinking
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = pytest.mark.integration

TODAY = time.time_ns() // 1_000_000 // DAY_MS
BATCH: list[dict[str, Any]] = [
    {"type": "track", "event": "Report Shared", "userId": "ann"},
    {"type": "page", "name": "Home", "userId": "bob"},
    {"type": "track", "event": "Invoice Paid", "userId": "billing"},
    {"type": "track", "event": "ticket_opened", "userId": "carl", "properties": {"ticket_id": 7}},
    {"type": "track", "event": "Goal Set", "properties": {"goal": "weekly", "author": "olga"}},
    {"type": "identify", "userId": "dora"},
]
"""Of one account and day: two people use the product."""


async def test_invoices_tickets_and_goals_are_stored_and_are_no_use(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(entry("wk", "web"))
    ingest = ServiceProcess("ingest", kafka_settings, tmp_path, TIDEMARK_WRITE_KEYS_FILE=str(keys))
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    await ingest.start()
    try:
        await until(ingest.ready)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ingest.port}", auth=("wk", "")) as client:
            sent = [{"messageId": str(n), "context": {"groupId": "acme"}, **each} for n, each in enumerate(BATCH)]
            answer = await client.post("/v1/batch", json={"batch": sent})
        assert answer.json()["accepted"] == len(BATCH)
        async with sinking(kafka_settings, store):
            await until(caught_up(kafka_settings, store, "usage-events"), 60)

        stored = {each["event_id"]: each["use"] for each in store.events(EventFilter("acme")).rows}
        days = store.account_days("acme", 0).rows
        people = store.account_people(PeopleFilter("acme", TODAY + 1)).rows
        features = raw(store, "SELECT feature FROM feature_adoption")
    finally:
        await ingest.stop()
        store.close()

    assert stored == {"0": True, "1": True, "2": False, "3": False, "4": False, "5": False}
    assert sum(day["events"] for day in days) == sum(day["active_users"] for day in days) == len(people) == 2
    assert features == [("Report Shared",)]
