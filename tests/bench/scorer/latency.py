"""
Measures how long it takes from the acceptance of an event by ingest to the health that it caused, readable on Kafka.

    python -m tests.bench.scorer.latency [--rate EVENTS_PER_S] [--seconds N]

Ingest, scorer, broker and the client share the machine. Batches of 20 arrive at a fixed rate from accounts without a
past; one event in fifty opens a ticket. What is timed is every snapshot that an event caused: the first activity of
an account, and the tickets. Evaluations wait for the next tick of log time, a second at most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from schemas import codec
from services.shared.kafka.clients import consumer
from services.shared.kafka.settings import KafkaSettings
from tests.bench.cluster import deployment
from tests.bench.ingest import load
from tests.bench.scorer.process import scorer

HEALTH = "account-health"
_BATCH = 20
_CONNECTIONS = 32
_SETTLE_S = 3.0
_READY_WITHIN_S = 60.0


def event(rng: random.Random, number: int) -> dict[str, Any]:
    """Return an event; one in fifty opens a ticket."""
    made = load.event(rng, number)
    if number % 50 == 0:
        made.update(event="Ticket Opened", properties={"ticket_id": f"t{number % 20}"})
    return made


async def listen(kafka: KafkaSettings, waited: list[float]) -> None:
    """Note how long each snapshot that an event caused took to arrive, in seconds."""
    client = consumer(kafka, HEALTH, group_id=None)
    await client.start()
    try:
        while True:
            found = await client.getmany(timeout_ms=100)
            now = time.time()
            for records in found.values():
                for record in records:
                    _, health = codec.decode(record.value)
                    if health["trigger_received_at"]:
                        waited.append(now - health["trigger_received_at"] / 1000)
    finally:
        await client.stop()


async def measure(kafka: KafkaSettings, url: str, rate: int, seconds: float) -> dict[str, Any]:
    """Send for so many seconds, wait until the last have come, and return the figures."""
    requests = rate // _BATCH
    made = load.requests(_BATCH, "bench", "bench", bodies=int(requests * seconds), make=event)
    waited: list[float] = []
    listening = asyncio.create_task(listen(kafka, waited))
    sent = await load.drive(url, made, connections=_CONNECTIONS, seconds=seconds, rate=requests)
    await asyncio.sleep(_SETTLE_S)
    listening.cancel()
    waited.sort()
    if not waited:
        raise SystemExit("no snapshot came")
    return {
        "events_per_s": round(sent.statuses.get("200", 0) * _BATCH / sent.elapsed),
        "statuses": sent.statuses,
        "snapshots": len(waited),
        "p50_s": round(waited[len(waited) // 2], 3),
        "p99_s": round(waited[int(len(waited) * 0.99)], 3),
        "max_s": round(waited[-1], 3),
    }


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=15.0)
    chosen = parser.parse_args()
    with (
        deployment() as kafka,
        tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder,
        scorer(kafka, Path(folder)) as scoring,
        load.worker(kafka, Path(folder)) as (_, url),
    ):
        scoring.wait_ready(_READY_WITHIN_S)
        print(json.dumps(uvloop.run(measure(kafka, url, chosen.rate, chosen.seconds))), flush=True)


if __name__ == "__main__":
    main()
