"""
How long the query API takes for the questions of a console, on a store that `filling` made.

    python -m tests.bench.warehouse.questions FOLDER [--rounds N] [--json]

It is the whole way of a question inside the process: the ASGI application, the thread, ClickHouse, the JSON. On a machine that
does other things as well, the CPU time (the median of the rounds) says more than the time to the answer. The floors: a page of the
portfolio of 10,000 accounts with 30 weeks in 100 ms, filtered and sorted; an account in 300 ms with 100 million events.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from services.warehouse.clickhouse.store import open_embedded
from services.warehouse.http.app import query_app
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import Queries

LARGEST, USUAL = "account-0", "account-4321"

QUESTIONS: dict[str, tuple[str, float | None]] = {
    "page of the portfolio, 30 weeks": ("/v1/accounts?limit=50&weeks=30", 100),
    "the same by revenue": ("/v1/accounts?limit=50&weeks=30&sort=-revenue", 100),
    "the same, filtered": ("/v1/accounts?limit=50&weeks=30&band=red,yellow&stage=renewal&q=9", 100),
    "the same by change, one owner": ("/v1/accounts?limit=50&weeks=30&sort=change&owner=owner7@example.com", 100),
    "the same, 100 days ago": ("/v1/accounts?limit=50&weeks=30&at={then}", None),
    "1,000 accounts, 30 weeks": ("/v1/accounts?limit=1000&weeks=30", None),
    "an account": (f"/v1/accounts/{USUAL}", 300),
    "the account with most events": (f"/v1/accounts/{LARGEST}", 300),
    "an account, 100 days ago": (f"/v1/accounts/{USUAL}?at={{then}}", 300),
    "its events": (f"/v1/accounts/{USUAL}/events", 300),
    "events of the largest": (f"/v1/accounts/{LARGEST}/events", 300),
    "its people": (f"/v1/accounts/{USUAL}/people", 300),
    "people of the largest": (f"/v1/accounts/{LARGEST}/people", 300),
    "its history, whole": (f"/v1/accounts/{USUAL}/history", None),
    "open signals, as to work on them": ("/v1/signals?open=true&order=work", None),
    "today": ("/v1/today", None),
    "portfolio": ("/v1/portfolio", None),
    "activity": ("/v1/activity", None),
}


async def measured(
    store: Queries, rounds: int, questions: Mapping[str, tuple[str, float | None]] = QUESTIONS
) -> list[dict[str, Any]]:
    """
    Return the time of each question: the median and the greatest of its rounds, after one to warm up.

    `cpu_ms` is the median of the CPU time of the process.
    """
    app = query_app(lambda: store, WarehouseMetrics(CollectorRegistry()))
    then = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 100 * 86_400))
    found = []
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://warehouse", timeout=120
    ) as client:
        for what, (address, floor) in questions.items():
            times, used, size = [], [], 0
            for _ in range(rounds + 1):
                began, busy = time.perf_counter(), time.process_time()
                answer = await client.get(address.format(then=then))
                times.append((time.perf_counter() - began) * 1000)
                used.append((time.process_time() - busy) * 1000)
                if answer.status_code != 200:
                    raise SystemExit(f"{address}: {answer.status_code} {answer.text}")
                size = len(answer.content)
            rest = times[1:]
            found.append(
                {"what": what, "ms": statistics.median(rest), "least_ms": min(rest), "most_ms": max(rest), "first_ms": times[0],
                 "cpu_ms": statistics.median(used[1:]), "bytes": size, "floor_ms": floor}
            )  # fmt: skip
    return found


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    store = open_embedded(options.folder, "tidemark")
    found = asyncio.run(measured(store, options.rounds))
    store.close()
    if options.json:
        print(json.dumps(found))
        return
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for each in found:
        floor = f"floor {each['floor_ms']:.0f}" if each["floor_ms"] else ""
        print(
            f"{each['what']:36} {each['ms']:8.0f} ms  ({each['least_ms']:.0f} to {each['most_ms']:.0f}, first {each['first_ms']:.0f}), {each['cpu_ms']:.0f} ms of CPU, "
            f"{each['bytes']:>9,} bytes  {floor}"
        )


if __name__ == "__main__":
    main()
