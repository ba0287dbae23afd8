"""Workers are killed, frozen and revived while they count: every count and every output stays exact."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.shared.engine.counting_fleet import Fleet, fleet
from services.shared.engine.counting_trial import Trial, Verdict, trial
from services.shared.engine.errors import EXIT_FAIL_STOP
from services.shared.kafka.embedded import EmbeddedBroker

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


def assert_exact(verdict: Verdict, workers: Fleet) -> None:
    assert verdict.exact, (
        f"{verdict.source} records, {verdict.counted} counted, {len(verdict.wrong)} accounts wrong "
        f"{list(verdict.wrong.items())[:3]}, {sum(verdict.missing.values())} outputs missing, "
        f"{sum(verdict.extra.values())} doubled, exits {workers.exits}\n{workers.log()}"
    )


async def hurt(workers: Fleet, rng: random.Random, seconds: float) -> None:
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


async def random_kills(bootstrap: str, seconds: float, seed: int) -> None:
    async with trial(bootstrap) as log, fleet(log, 2, **QUICK) as workers:
        stop = asyncio.Event()
        filler = asyncio.create_task(fill(log, stop))
        await workers.ready(2)
        await hurt(workers, random.Random(seed), seconds)
        stop.set()
        await filler

        assert_exact(await log.settled(60), workers)


@pytest.mark.timeout(120)
async def test_random_kills_and_freezes_leave_every_count_exact(kafka: Any) -> None:
    await random_kills(kafka.bootstrap, seconds=8, seed=1)


@pytest.mark.chaos_long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [2, 3, 4])
async def test_minutes_of_random_kills_leave_every_count_exact(kafka: Any, seed: int) -> None:
    await random_kills(kafka.bootstrap, seconds=90, seed=seed)


@pytest.mark.timeout(120)
async def test_a_worker_revived_in_the_middle_of_a_transaction_is_fenced(kafka: Any, tmp_path: Path) -> None:
    frozen = tmp_path / "frozen"
    async with trial(kafka.bootstrap) as log, fleet(log, 2, **QUICK, TIDEMARK_COUNTING_FREEZE=str(frozen)) as workers:
        await workers.ready(2)
        # Given a worker that stops with everything of a transaction sent and nothing committed,
        await log.produce((b"account-%d" % (i % 50), b"%d" % i) for i in range(2000))
        await until(frozen.exists, 20)
        victim = workers.stopped()
        # when the other takes its partitions over and goes on with them, and then the first is revived,
        await until(lambda: workers.readiness[1 - victim][-1] == ["0", "1", "2", "3"], 30)
        assert_exact(await log.settled(20), workers)
        workers.thaw(victim)
        await log.produce((b"account-%d" % (i % 50), b"%d" % i) for i in range(2000, 4000))

        # then it cannot commit, and ends.
        assert_exact(await log.settled(40), workers)
        await until(lambda: workers.exits, 20)
        assert workers.exits == [EXIT_FAIL_STOP]


@pytest.mark.timeout(180)
async def test_a_killed_broker_costs_nothing_but_time(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "kafka")
    broker.start()
    try:
        async with trial(broker.bootstrap) as log, fleet(log, 2, **QUICK) as workers:
            await workers.ready(2)
            await log.produce((b"account-%d" % (i % 50), b"%d" % i) for i in range(4000))
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
            await log.produce((b"account-%d" % (i % 50), b"%d" % i) for i in range(4000, 8000))

            assert_exact(await log.settled(90), workers)
    finally:
        broker.kill()


@pytest.mark.timeout(120)
async def test_a_load_of_three_poll_intervals_moves_no_partition(kafka: Any) -> None:
    slow = {**QUICK, "TIDEMARK_COUNTING_LOAD_S": "9", "TIDEMARK_ENGINE_MAX_POLL_INTERVAL_S": "3",
            "TIDEMARK_ENGINE_QUEUE_RECORDS": "500"}  # fmt: skip
    async with trial(kafka.bootstrap) as log:
        await log.produce((b"account-%d" % (i % 50), b"%d" % i) for i in range(20_000))
        async with fleet(log, 2, **slow) as workers:
            await workers.ready(2, within_s=60)

            assert_exact(await log.settled(60), workers)
            assert workers.exits == []
            assert workers.log(10**9).count(" assigned ") <= 5


async def until(condition: Callable[[], Any], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.05)
