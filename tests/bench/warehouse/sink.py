"""
Measures how fast the warehouse's process stores events in the embedded engine while it is asked, and how soon they can be asked for.

    python -m tests.bench.warehouse.sink [--events N] [--rate EVENTS_PER_S] [--seconds N]

First events wait on the topic, and the figure is how fast they are stored, from the first look at which some are to the last.
Meanwhile a client asks for today, the portfolio, its list and an account, one after the other, with a pause of a second after
each round. Then ingest takes events at a fixed rate; twice a second one more of an account of its own, which is asked for
every 50 ms from the moment at which it was accepted until it is there. Ingest, broker, warehouse and client share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from services.shared.kafka.settings import KafkaSettings
from tests.bench.cluster import Appender, cpu_of, deployment
from tests.bench.ingest import load
from tests.bench.scorer.events import stream
from tests.bench.scorer.history import names
from tests.bench.scorer.process import SOURCE, Scorer, running

_ACCOUNTS, _USERS = 5_000, 50
_ASKED = ("/v1/today", "/v1/portfolio", "/v1/accounts?weeks=30&limit=60", "/v1/accounts/account-7")
_PAUSE_S = 1.0
_LOOK_EVERY_S = 0.25
_PROBE_EVERY_S = 0.5
_POLL_S = 0.05
_WITHIN_S = 240.0
_BATCH = 20


async def append(kafka: KafkaSettings, events: int) -> int:
    """Append events and return how many records there are."""
    homes = names(_ACCOUNTS, kafka.partitions)
    records = 0
    async with Appender(kafka) as log:
        for partition, account, value in stream(homes, events, _USERS, 40_000, int(time.time() * 1000) - events // 40):
            await log.append(SOURCE, partition, account, value)
            records += 1
    return records


class Memory:
    """The greatest memory of a process that was seen, bytes: what is its own, without pages of libraries."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.most = 0

    def look(self) -> None:
        """Look now."""
        known = self._process.memory_info()
        self.most = max(self.most, known.rss - known.shared)


async def stored(process: Scorer, total: int, memory: Memory) -> dict[str, Any]:
    """Follow the positions of the sink from the first records stored to the last."""
    first: tuple[float, float, float] | None = None
    deadline = time.monotonic() + _WITHIN_S
    async with httpx.AsyncClient(base_url=process.url, timeout=30) as client:
        while True:
            found = (await client.get("/metrics")).text
            at, used = time.perf_counter(), cpu_of(process.pid)
            done = sum(
                float(line.rpartition(" ")[2])
                for line in found.splitlines()
                if line.startswith("tidemark_warehouse_position{") and f'topic="{SOURCE}"' in line
            )
            memory.look()
            if first is None and done:
                first = at, done, used
            if first is not None and done >= total:
                break
            process.must_live()
            if time.monotonic() > deadline:
                raise SystemExit(f"{done:.0f} of {total} records after {_WITHIN_S:.0f} s")
            await asyncio.sleep(_LOOK_EVERY_S)
    return {"records": int(done - first[1]), "seconds": round(at - first[0], 3), "cpu": round(used - first[2], 3)}


async def asking(process: Scorer, times: list[float], *, pause: float = _PAUSE_S) -> None:
    """Ask as a reader of the console does, until cancelled."""
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        while True:
            for address in _ASKED:
                began = time.perf_counter()
                answer = await client.get(address)
                if answer.status_code not in (200, 404):  # nothing is stored of the account yet
                    raise SystemExit(f"{address}: {answer.status_code} {answer.text}")
                times.append(time.perf_counter() - began)
            await asyncio.sleep(pause)


async def arrived(ingest: str, process: Scorer, number: int, waited: list[float]) -> None:
    """Send one event and note how long it takes from its acceptance until it can be asked for."""
    account = f"probe-{number}"
    event = {"type": "track", "event": "Probe", "userId": account, "context": {"groupId": account}}
    async with httpx.AsyncClient(timeout=30) as client:
        (await client.post(f"{ingest}/v1/track", json=event, auth=("bench", ""))).raise_for_status()
        accepted = time.perf_counter()
        while (await client.get(f"{process.url}/v1/accounts/{account}/events?limit=1")).status_code != 200:
            if time.perf_counter() - accepted > _WITHIN_S:
                raise SystemExit(f"an event was accepted and is not there after {_WITHIN_S:.0f} s")
            await asyncio.sleep(_POLL_S)
        waited.append(time.perf_counter() - accepted)


async def delays(ingest: str, process: Scorer, rate: int, seconds: float, memory: Memory) -> dict[str, Any]:
    """Return how long events take to be there, at a rate."""
    requests = rate // _BATCH
    made = load.requests(_BATCH, "bench", "bench", bodies=min(2_000, int(requests * seconds)))
    driving = asyncio.create_task(load.drive(ingest, made, connections=32, seconds=seconds, rate=requests))
    waited: list[float] = []
    probes = []
    number = 0
    while not driving.done():
        probes.append(asyncio.create_task(arrived(ingest, process, number, waited)))
        number += 1
        memory.look()
        await asyncio.sleep(_PROBE_EVERY_S)
    sent = await driving
    await asyncio.gather(*probes)
    waited.sort()
    return {
        "events_per_s": round(sent.statuses.get("200", 0) * _BATCH / sent.elapsed),
        "probes": len(waited),
        "p50_s": round(median(waited), 3),
        "p95_s": round(waited[int(len(waited) * 0.95)], 3),
        "max_s": round(waited[-1], 3),
    }


async def measure(kafka: KafkaSettings, process: Scorer, folder: Path, chosen: argparse.Namespace, total: int) -> None:
    """Measure one after the other and print the figures."""
    memory, asked = Memory(process.pid), list[float]()
    questions = asyncio.create_task(asking(process, asked))
    told = {"stored": await stored(process, total, memory), "asked": len(asked)}
    with load.worker(kafka, folder) as (_, ingest):
        told["delay"] = await delays(ingest, process, chosen.rate, chosen.seconds, memory)
    if questions.done():
        questions.result()
    questions.cancel()
    asked.sort()
    told["answer_p95_s"] = round(asked[int(len(asked) * 0.95)], 3)
    told["memory_mb"] = round(memory.most / 2**20)
    print(json.dumps(told), flush=True)


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=600_000)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    chosen = parser.parse_args()
    with deployment() as kafka, tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        total = asyncio.run(append(kafka, chosen.events))
        with running("services.warehouse", kafka, Path(folder)) as process:
            process.wait_ready(120)
            asyncio.run(measure(kafka, process, Path(folder), chosen, total))


if __name__ == "__main__":
    main()
