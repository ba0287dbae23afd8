"""
Measures the console and the query API over the embedded engine with ten thousand accounts: answers, pages, and what a page weighs.

    python -m tests.bench.warehouse.reach [--store FOLDER] [--accounts N] [--days N] [--events N] [--rounds N]

The store is that of `filling`; without a folder one is filled and deleted. Answers go the whole way inside the process (see
`questions`); pages are asked for over HTTP, and Chromium opens the portfolio with nothing in its cache. Server, engine and
browser share the machine, so the CPU time of the server's process stands beside each time: on a busy machine it says more.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, async_playwright
from prometheus_client import CollectorRegistry

from services.console.api_client import InProcess
from services.console.app import console_app
from services.console.settings import ConsoleSettings
from services.shared.http.server import serving
from services.shared.units import DAY_MS
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from services.warehouse.http.app import query_app
from services.warehouse.http.front import api_or
from services.warehouse.metrics import WarehouseMetrics
from tests.bench.warehouse.filling import MEMORY_MB, fill
from tests.bench.warehouse.questions import LARGEST, USUAL, measured
from tests.support.clients import CHROMIUM_OPTIONS, chromium

ANSWERS = {
    "today": "/v1/today",
    "today, 100 days ago": "/v1/today?at={then}",
    "portfolio": "/v1/portfolio",
    "portfolio, 100 days ago": "/v1/portfolio?at={then}",
    "account": f"/v1/accounts/{USUAL}",
    "account with most events": f"/v1/accounts/{LARGEST}",
}
LISTS = ("?sort=score", "?band=red&band=yellow", "?q=99", "?stage=renewal&sort=name", "?owner=owner7@example.com")
"""What a reader does with the list: sort, filter, search."""
_FIRST_PAINT = """() => new Promise((done) => {
  const told = () => performance.getEntriesByName("first-contentful-paint")[0];
  if (told()) return done(told().startTime);
  new PerformanceObserver(() => told() && done(told().startTime)).observe({type: "paint", buffered: true});
})"""
_FETCHED = re.compile(r'(?:href|src)="(/static/[^"]+\.(?:css|js))"')


async def painted(browser: Browser, address: str) -> float:
    """Return when a new reader first sees the portfolio, milliseconds after they ask for it."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{address}/portfolio")
    found: float = await page.evaluate(_FIRST_PAINT)
    await context.close()
    return found


async def pages(store: ClickHouseStore, rounds: int) -> dict[str, Any]:
    """Return how long pages take to a reader, and what they weigh."""
    api = query_app(lambda: store, WarehouseMetrics(CollectorRegistry()))
    console = console_app(InProcess(api), ConsoleSettings(), is_open=True)
    async with serving(api_or(api, console), "127.0.0.1", 0) as port, async_playwright() as playwright:
        address = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            whole = await client.get("/portfolio")
            files = [(await client.get(each)).content for each in sorted(set(_FETCHED.findall(whole.text)))]
            lists = [await _part(client, each) for _ in range(rounds) for each in LISTS]
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_OPTIONS))
        await painted(browser, address)  # the browser itself starts with the first page
        paints = []
        for _ in range(rounds):
            busy = time.process_time()
            paints.append((await painted(browser, address), (time.process_time() - busy) * 1000))
        await browser.close()
    return {
        "paint_ms": [round(ms) for ms, _ in paints],
        "paint_cpu_ms": [round(cpu) for _, cpu in paints],
        "list_ms": [round(ms, 1) for ms, _ in lists],
        "list_cpu_ms": [round(cpu, 1) for _, cpu in lists],
        "page_bytes": len(gzip.compress(whole.content)),
        "assets_bytes": sum(len(gzip.compress(each, 9)) for each in files),
    }


async def _part(client: httpx.AsyncClient, query: str) -> tuple[float, float]:
    """Ask for the list alone, as the page's script does; return milliseconds, and those of CPU."""
    began, busy = time.perf_counter(), time.process_time()
    (await client.get(f"/portfolio{query}", headers={"HX-Request": "true"})).raise_for_status()
    return (time.perf_counter() - began) * 1000, (time.process_time() - busy) * 1000


async def measure(store: ClickHouseStore, rounds: int) -> dict[str, Any]:
    """Return all figures."""
    found: dict[str, Any] = {"load": round(os.getloadavg()[0], 1)}
    found["events"] = store._writer.query("SELECT count() FROM events").result_rows[0][0]
    found["answers"] = await measured(store, rounds, {what: (address, None) for what, address in ANSWERS.items()})
    return {**found, **await pages(store, rounds)}


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--store", type=Path, help="a folder that `filling` filled; without it one is filled and deleted"
    )
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=210)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        path = chosen.store or Path(folder) / "clickhouse"
        if chosen.store is None:
            filling = open_embedded(path, "tidemark", MEMORY_MB)
            fill(filling, chosen.accounts, chosen.days, chosen.events, int(time.time() * 1000) // DAY_MS)
            filling.close()
        store = open_embedded(path, "tidemark")  # with the memory that it has by default
        try:
            print(json.dumps(asyncio.run(measure(store, chosen.rounds))), flush=True)
        finally:
            store.close()


if __name__ == "__main__":
    main()
