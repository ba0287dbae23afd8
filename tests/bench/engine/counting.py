"""
The counting job three ways, on the same topic of the same broker: the engine, Quix Streams, a plain Faust agent.

    python -m tests.bench.engine.counting [--rounds N]

Each job decodes a JSON value and counts its key, with 5,000 keys, evenly, on one worker. The engine counts exactly
once: every count is durable on a changelog, in transactions, before the clock stops. Quix Streams keeps its state in
RocksDB and a changelog; the Faust agent is its tutorial's: `table[key] += 1`, in memory, with a changelog. One round
is each of them once, after the other, and is printed as one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.cluster import Appender, broker
from tests.support.counting.trial import SOURCE, Trial, trial

RECORDS = 400_000
PLAIN_RECORDS = 20_000
ACCOUNTS = 5_000
HERE = Path(__file__).parent
QUIX = Path(".venv-bench/bin/python")


async def fill(log: Trial) -> None:
    """Fill every partition evenly: 5,000 accounts, JSON values of about 100 bytes."""
    partitions = log.kafka.partitions
    async with Appender(log.kafka) as source:
        for n in range(RECORDS):
            partition, turn = n % partitions, n // partitions
            account = b"account-%06d" % (turn * 7919 % (ACCOUNTS // partitions) * partitions + partition)
            value = b'{"event":"Report Exported","user":"user-%05d","at":"2026-05-04T10:11:12.345Z","n":%d}'
            await source.append(SOURCE, partition, account, value % (turn % 20, turn))


def run(log: Trial, python: str, script: str, records: int) -> dict[str, float]:
    """Run one of the scripts and return what it printed."""
    ended = subprocess.run(
        [python, str(HERE / script), str(records)], capture_output=True, text=True, timeout=300, check=False,
        env={
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": log.kafka.bootstrap_servers,
            "TIDEMARK_TOPIC_PREFIX": log.kafka.topic_prefix,
        },
    )  # fmt: skip
    lines = [line for line in ended.stdout.splitlines() if line.startswith('{"records"')]
    if not lines:
        raise SystemExit(f"{script} measured nothing:\n{ended.stderr[-2000:]}")
    result: dict[str, float] = json.loads(lines[-1])
    return result


async def one_round(bootstrap: str, only: str | None) -> dict[str, dict[str, float]]:
    """Measure each once, on topics that nobody has read before."""
    jobs = {
        "engine": (sys.executable, "engine_counting.py", RECORDS),
        "quix": (str(QUIX), "engine_quix.py", RECORDS),
        "faust": (sys.executable, "engine_plain_faust.py", PLAIN_RECORDS),
    }
    async with trial(bootstrap) as log:
        await fill(log)
        return {name: run(log, *job) for name, job in jobs.items() if only in (None, name)}


def main() -> None:
    """Measure so many rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=("engine", "quix", "faust"))
    chosen = parser.parse_args()
    if chosen.only in (None, "quix") and not QUIX.exists():
        raise SystemExit("Quix Streams has an environment of its own: `make bench` sets it up")
    with broker() as bootstrap:
        for _ in range(chosen.rounds):
            print(json.dumps(asyncio.run(one_round(bootstrap, chosen.only))), flush=True)


if __name__ == "__main__":
    main()
