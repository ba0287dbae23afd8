"""
Measures a scorer process with everything on: accounts with a past, real Kafka, exactly once.

    python -m tests.bench.scorer.throughput [--events N] [--accounts N] [--users N] [--profile FILE]

Events wait on the topic; the figure is how fast they become durable, from the first commit seen to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from services.shared.engine.position import POSITION_KEY, Position
from services.shared.kafka.settings import KafkaSettings
from tests.bench.cluster import Appender, broker_pid, cpu_of, deployment
from tests.bench.scorer.events import stream
from tests.bench.scorer.history import make_lane, names, state_records
from tests.bench.scorer.process import SOURCE, Scorer, durable, scorer

STATE = "scorer-usage-events-state"
_RATE = 40_000
"""Events a second of log time."""
_LOOK_EVERY_S = 0.1
_WITHIN_S = 300.0


async def fill(kafka: KafkaSettings, events: int, accounts: int, users: int) -> int:
    """Write the past of the accounts and the events of their present; return how many records wait."""
    now = int(time.time() * 1000) - events * 1000 // _RATE
    homes = names(accounts, kafka.partitions)
    records = 0
    async with Appender(kafka) as log:
        for partition, members in enumerate(homes):
            for key, value in state_records(make_lane(partition, kafka.partitions, members, users, now - 1000)):
                await log.append(STATE, partition, key, value)
            await log.append(STATE, partition, POSITION_KEY, Position(0).encode())
        for home, account, event in stream(homes, events, users, _RATE, now):
            await log.append(SOURCE, home, account, event)
            records += 1
    return records


async def watch(kafka: KafkaSettings, process: Scorer, total: int, profile: str | None) -> dict[str, Any]:
    """Follow the group's offsets from the first commit to the last."""
    async with durable(kafka) as group:
        first: tuple[float, int, float, float] | None = None
        spy = None
        deadline = time.monotonic() + _WITHIN_S
        while True:
            done, at = await group.records(), time.perf_counter()
            used, brokers = cpu_of(process.pid), cpu_of(broker_pid())
            if first is None and done:
                first = at, done, used, brokers
                if profile:
                    spy = subprocess.Popen([
                        "py-spy", "record", "-p", str(process.pid), "-o", profile, "-r", "200", "-f", "raw", "-d", "600"
                    ])  # fmt: skip
            if first is not None and done >= total:
                break
            process.must_live()
            if time.monotonic() > deadline:
                raise SystemExit(f"{done} of {total} records after {_WITHIN_S:.0f} s")
            await asyncio.sleep(_LOOK_EVERY_S)
        if spy:
            spy.send_signal(signal.SIGINT)
            spy.wait(30)
    records = done - first[1]
    return {
        "records": records,
        "seconds": round(at - first[0], 3),
        "cpu": round(used - first[2], 3),
        "broker_cpu": round(brokers - first[3], 3),
    }


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=600_000)
    parser.add_argument("--accounts", type=int, default=5_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--profile", help="write a py-spy profile here (py-spy must be installed)")
    chosen = parser.parse_args()
    with deployment() as kafka, tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        total = asyncio.run(fill(kafka, chosen.events, chosen.accounts, chosen.users))
        with scorer(kafka, Path(folder)) as process:
            figures = asyncio.run(watch(kafka, process, total, chosen.profile))
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
