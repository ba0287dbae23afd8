"""
Measures how long a scorer that was killed takes until it scores again, with many accounts; and what they weigh.

    python -m tests.bench.scorer.recovery [--accounts N] [--users N] [--ids N] [--tail-mb N]

On the changelog lie the state of each account, what ten minutes at full rate leave behind (a tail of hot records
that no compaction has met yet: one segment a partition), and the duplicate window, full. The clock runs from the
start of the process, its imports and the group's join among it, until every lane is open. The same process on empty
topics, started before, gives the base.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from services.scorer.domain.lane.account_format import encode_hot
from services.scorer.domain.lane.duplicates import _KEY, _PREFIX
from services.scorer.domain.lane.usage_fold import UsageFold
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import HOUR_MS
from tests.bench.cluster import Appender, cpu_of, deployment
from tests.bench.scorer.history import DUPLICATE_IDS, make_lane, names, state_records
from tests.bench.scorer.process import scorer

STATE, IDS, HEALTH = "scorer-usage-events-state", "scorer-usage-events-ids", "account-health"
_IDS_A_RECORD = 2_500
_BLOCKS = 8
_WITHIN_S = 180.0
_CALM_S = 2.5


def at_the_start() -> tuple[bytes, bytes]:
    """Return the state record of a lane that has folded nothing of its source yet."""
    return POSITION_KEY, Position(0).encode()


async def fill(kafka: KafkaSettings, accounts: int, users: int, ids: int, tail: int) -> dict[str, Any]:
    """Write what a worker that was killed leaves behind; return how much that is."""
    now = int(time.time() * 1000)
    wrote = {"records": 0, "bytes": 0}
    async with Appender(kafka) as log:

        async def append(topic: str, partition: int, key: bytes, value: bytes) -> None:
            await log.append(topic, partition, key, value)
            wrote["records"] += 1
            wrote["bytes"] += len(key) + len(value)

        for partition, members in enumerate(names(accounts, kafka.partitions)):
            lane = make_lane(partition, kafka.partitions, members, users, now - 1000)
            for key, value in id_records(lane, ids // kafka.partitions):
                await append(IDS, partition, key, value)
            for key, value in state_records(lane):
                await append(STATE, partition, key, value)
            await append(STATE, partition, *at_the_start())
            hot = [(b"h:" + name.encode(), encode_hot(lane.state.accounts[name])) for name in members]
            end = wrote["bytes"] + tail // kafka.partitions
            while wrote["bytes"] < end:
                for key, value in hot:
                    await append(STATE, partition, key, value)
            await log.flush()
    return wrote


def id_records(lane: UsageFold, count: int) -> list[tuple[bytes, bytes]]:
    """Return the records of a duplicate window of the current log hour, and tell the lane's clock of it."""
    window = lane.state.ids
    hour = lane.state.clock.now // HOUR_MS
    window.hour, window.oldest = hour, (hour, 0)
    random = np.random.default_rng(count)
    made = []
    block = DUPLICATE_IDS // _BLOCKS
    for first in range(0, count, _IDS_A_RECORD):
        key = _KEY.pack(_PREFIX, hour, first // block, first % block // _IDS_A_RECORD)
        made.append((key, random.bytes(8 * min(_IDS_A_RECORD, count - first))))
    return made


def start(kafka: KafkaSettings, folder: Path) -> dict[str, Any]:
    """Start a scorer in its folder, by which it knows its own place in the group; return what that took."""
    began = time.perf_counter()
    with scorer(kafka, folder) as process:
        process.wait_ready(_WITHIN_S)
        seconds, used = time.perf_counter() - began, cpu_of(process.pid)
        time.sleep(_CALM_S)
        process.must_live()
        return {
            "seconds": round(seconds, 2),
            "cpu": round(used, 2),
            "rss": psutil.Process(process.pid).memory_info().rss,
        }


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--ids", type=int, default=16_000_000)
    parser.add_argument("--tail-mb", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args()
    with deployment() as kafka, tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        base = start(kafka, Path(folder))
    with deployment() as kafka, tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        wrote = asyncio.run(fill(kafka, chosen.accounts, chosen.users, chosen.ids, chosen.tail_mb << 20))
        rounds = [start(kafka, Path(folder)) for _ in range(chosen.rounds)]
    print(
        json.dumps({"accounts": chosen.accounts, "ids": chosen.ids, **wrote, "base": base, "rounds": rounds}),
        flush=True,
    )


if __name__ == "__main__":
    main()
