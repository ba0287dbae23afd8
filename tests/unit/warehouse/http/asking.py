"""A client of the query API over the store in memory, and rows for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from services.shared.units import DAY_MS
from services.warehouse.domain.rows import TABLE_OF_TOPIC, Place, Row, row
from services.warehouse.http.app import query_app
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import Queries
from tests.support.plans import marked
from tests.support.warehouse_events import example

TODAY = 20_423  # 2025-12-01
NOW = (TODAY + 1) * DAY_MS - 1


def of(topic: str, offset: int, record: str, value: dict[str, Any]) -> tuple[str, Row]:
    made = row(Place(topic, 0, offset, 0), record, value)
    assert made is not None
    return TABLE_OF_TOPIC[topic], made


def health(offset: int, account: str, *, days_ago: int = 0, **changes: Any) -> tuple[str, Row]:
    """A snapshot of the last moment of a day."""
    value = example(
        "account_health/examples/red.json", account=account, at=NOW - days_ago * DAY_MS, day=TODAY - days_ago, **changes
    )
    return of("account-health", offset, "account_health", value)


def signal(offset: int, account: str, number: int = 1, *, days_ago: int = 0, **changes: Any) -> tuple[str, Row]:
    """A transition of the last moment of a day."""
    rule = changes.pop("rule", "usage_decline")
    value = example(
        "signal/examples/usage_decline_firing.json",
        **{
            "account": account,
            "rule": rule,
            "episode_id": f"{account}/{rule}",
            "signal_id": f"{account}/{rule}/{number}",
            "transition_number": number,
            "at": NOW - days_ago * DAY_MS,
            **changes,
        },
    )
    return of("risk-signals", offset, "signal", value)


def event(offset: int, account: str, *, days_ago: int = 0, **changes: Any) -> tuple[str, Row]:
    sent = {"kind": "TRACK", "name": "Report Exported", "occurred_at": NOW - days_ago * DAY_MS, **changes}
    value = example("usage_event/examples/track.json", **{"account": account, "event_id": f"e{offset}", **marked(sent)})
    return of("usage-events", offset, "usage_event", value)


def stored(rows: Iterable[tuple[str, Row]]) -> MemoryStore:
    store = MemoryStore()
    for table, made in rows:
        store.insert(table, [made])
    return store


def client_of(store: Queries) -> TestClient:
    return TestClient(query_app(lambda: store, WarehouseMetrics(CollectorRegistry()), lambda: NOW / 1000))
