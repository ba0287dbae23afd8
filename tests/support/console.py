"""The console over the store in memory, with accounts of hostile names among others."""

from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from services.console.api_client import InProcess
from services.console.app import console_app
from services.console.settings import ConsoleSettings
from services.warehouse.domain.refusals import Refusals
from services.warehouse.domain.rows import Place, row
from services.warehouse.http.app import query_app
from services.warehouse.http.feed import Feed
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import Store
from tests.contract.warehouse.stored import T0, example, health, signal

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% raw %}",
    "'; DROP TABLE accounts;--",
    "x" * 10_240,
    "\u202egnp.exe حساب",
    "😀 👩‍👩‍👧 ١٢٣",
    "../../a//b?c=%2F&d#e",
    "100% %s %(x)s {0} {name}",
]
"""Names that somebody could send."""


def filled(names: list[str]) -> MemoryStore:
    """Return a store with an account, a signal and an event for each name."""
    store = MemoryStore()
    for number, name in enumerate(names):
        facts = example("account_health/examples/red.json")["facts"] | {"name": name, "owner": name}
        store.insert("account_health", [health(number, name or "x", facts=facts, sequence=1)])
        told = {"account_name": name, "owner": name, "title": name, "summary": name, "action": name}
        store.insert("signals", [signal(number, name or "x", "usage_decline", 1, "FIRING", **told)])
        event = example("usage_event/examples/track.json", account=name, name=name, source=name)
        made = row(Place("usage-events", 0, number, T0), "usage_event", event)
        assert made is not None
        store.insert("events", [made])
    return store


def app_over(
    store: Any, settings: ConsoleSettings | None = None, *, is_open: bool = True, feed: Feed | None = None
) -> Any:
    """Return the console over a store, or over one that raises this."""

    def opened() -> Store:
        if isinstance(store, Exception):
            raise store
        return store  # type: ignore[no-any-return]

    metrics, refusals = WarehouseMetrics(CollectorRegistry()), Refusals()
    refusals.problem = ""
    for name in HOSTILE if isinstance(store, MemoryStore) and store.newest() else []:
        original = msgspec.json.encode({"type": "track", "event": name, name: name})
        refused = {"by": "ingest", "reason": "wrong_type", "field": name, "source": name, "original": original}
        refusals.see(refused, "usage-rejected/0/1", T0)
    api = query_app(opened, metrics, clock=lambda: T0 / 1000 + 60, feed=feed, refusals=refusals)
    return console_app(InProcess(api), settings or ConsoleSettings(), is_open=is_open)
