"""The engine alone: counting workers are killed and frozen at random while their source is filled."""

from __future__ import annotations

import asyncio
import time
from random import Random

from tests.support.counting.fleet import Fleet
from tests.support.counting.trial import Trial

QUICK = {
    "TIDEMARK_ENGINE_SESSION_TIMEOUT_S": "3",
    "TIDEMARK_ENGINE_HEARTBEAT_S": "0.3",
    "TIDEMARK_ENGINE_TRANSACTION_MS": "50",
    "TIDEMARK_ENGINE_CHUNK_RECORDS": "200",
}


async def fill(log: Trial, stop: asyncio.Event, per_batch: int = 400) -> None:
    """Produce until told to stop: 500 accounts, now and then a long record, poison, and one that breaks the fold."""
    n = 0
    while not stop.is_set():
        batch = []
        for _ in range(per_batch):
            n += 1
            batch.append(
                (b"account-%d" % (n * 7919 % 500), b"poison" if n % 997 == 0 else b"raise" if n == 3001 else b"%d" % n)
            )
        await log.produce(batch)
        await asyncio.sleep(0.05)


async def hurt(workers: Fleet, rng: Random, seconds: float) -> None:
    """Kill or freeze one of two workers at random moments."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(rng.uniform(0.5, 3.0))
        slot = rng.randrange(2)
        if rng.random() < 0.6:
            workers.kill(slot)
        else:
            workers.freeze(slot)
            await asyncio.sleep(rng.uniform(0.5, 5.0))
            workers.thaw(slot)
