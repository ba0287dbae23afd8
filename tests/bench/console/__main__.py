"""
Serve the console on a simulated past, without Kafka: `python -m tests.bench.console --port 8090`.

The first start of a day simulates it, which takes about half a minute; later ones read `.cache/console`. With
`--accounts 10000` the sixty accounts are repeated under other names until there are so many. `--store clickhouse` takes the
embedded ClickHouse instead of the store in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import pickle
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp
from xxhash import xxh3_64_hexdigest

import services.alerter
import services.simulator
from services.backtest.driving.kept import code_fingerprint
from services.console.api_client import InProcess
from services.console.app import console_app
from services.console.settings import ConsoleSettings
from services.shared.http.server import serving
from services.shared.units import DAY_MS, HOUR_MS
from services.warehouse.clickhouse.store import open_embedded
from services.warehouse.domain.refusals import Refusals
from services.warehouse.domain.rows import TABLE_OF_TOPIC, columns
from services.warehouse.http.app import query_app
from services.warehouse.http.front import api_or
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import Store
from tests.bench.console.past import Past, now_ms, simulated
from tests.bench.console.repeated import repeated

_CACHE = Path(".cache/console")
_CHUNK = 20_000


def past(until: datetime | None = None) -> Past:
    """Return the past that ends at a moment, by default this hour; of each day, or of a moment that is given, one is kept."""
    until_ms = int(until.timestamp() * 1000) if until else now_ms() // HOUR_MS * HOUR_MS
    stem = f"still-{until_ms}" if until else f"past-{until_ms // DAY_MS}"
    file = _CACHE / f"{stem}-{_made_by()}.pickle"
    if file.exists():
        kept: Past = pickle.loads(file.read_bytes())
        return kept
    print("simulating 35 weeks of sixty accounts: half a minute, once a day")
    made = simulated(until_ms)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.write_bytes(pickle.dumps(made))
    draft.replace(file)
    return made


def _made_by() -> str:
    """Return what changes with the code that rows depend on."""
    tables = {table: columns(table) for table in TABLE_OF_TOPIC.values()}
    code = b"".join(
        path.read_bytes()
        for package in (services.alerter, services.simulator)
        for path in sorted(Path(package.__path__[0]).rglob("*.[py]*"))
        if path.suffix in {".py", ".yaml"}
    )
    return xxh3_64_hexdigest(f"{code_fingerprint()} {tables} {xxh3_64_hexdigest(code)}".encode())


def fill(store: Store, rows: Past) -> None:
    """Store all rows."""
    for table, of_table in rows.tables.items():
        for start in range(0, len(of_table), _CHUNK):
            store.insert(table, of_table[start : start + _CHUNK])


def refused(until_ms: int) -> Refusals:
    """Return some refusals, as a page with a mistake would cause them."""
    letters = (
        (
            "wrong_type",
            "properties.score",
            "web",
            b'{"type":"track","event":"NPS Submitted","properties":{"score":"nine"}}',
            38,
        ),
        ("missing_identity", "userId", "web", b'{"type":"page","name":"Reports","properties":{"path":"/reports"}}', 12),
        (
            "timestamp_out_of_range",
            "timestamp",
            "crm-import",
            b'{"type":"group","groupId":"acme","timestamp":"1969"}',
            3,
        ),
    )
    found = Refusals()
    found.problem = ""
    for number, (reason, field, source, original, count) in enumerate(letters):
        letter = {"by": "ingest", "reason": reason, "field": field, "source": source, "original": original}
        for each in range(count):
            found.see(letter, f"usage-rejected/{number}/{each}", until_ms - each * HOUR_MS // 8)
    return found


def app_over(store: Store, settings: ConsoleSettings) -> ASGIApp:
    """Return the query API and the console over a store, as the warehouse serves them."""
    api = query_app(lambda: store, WarehouseMetrics(CollectorRegistry()), refusals=refused(now_ms()))
    console = console_app(InProcess(api), settings, is_open=True)
    return api_or(api, console)


async def served(app: ASGIApp, port: int) -> None:
    """Serve an app until this task is cancelled."""
    async with serving(app, "127.0.0.1", port):
        await asyncio.Event().wait()


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--accounts", type=int, default=60)
    parser.add_argument("--store", choices=["memory", "clickhouse"], default="memory")
    parser.add_argument("--currency", default="EUR")
    given = parser.parse_args()
    rows = repeated(past(), given.accounts)
    with tempfile.TemporaryDirectory() as folder:
        store: Store = MemoryStore() if given.store == "memory" else open_embedded(Path(folder), "tidemark")
        fill(store, rows)
        print(f"http://127.0.0.1:{given.port}/")
        with suppress(KeyboardInterrupt):
            asyncio.run(served(app_over(store, ConsoleSettings(currency=given.currency)), given.port))
        store.close()


if __name__ == "__main__":
    main()
