"""
Workers are killed, frozen and revived while they count: every count and every output stays exact.

The long form, on three brokers, is the fault `engine` of `make chaos`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from services.shared.engine.errors import EXIT_FAIL_STOP
from services.shared.kafka.embedded.broker import EmbeddedBroker
from tests.chaos.counting import QUICK, fill, hurt
from tests.support.counting.fleet import Fleet, fleet
from tests.support.counting.trial import SIDE, Verdict, trial
from tests.support.waiting import until


def assert_exact(verdict: Verdict, workers: Fleet) -> None:
    assert verdict.exact, (
        f"{verdict.source} records, {verdict.counted} counted, {len(verdict.wrong)} accounts wrong "
        f"{list(verdict.wrong.items())[:3]}, {sum(verdict.missing.values())} outputs missing, "
        f"{sum(verdict.extra.values())} doubled, exits {workers.exits}\n{workers.log()}"
    )


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_random_kills_and_freezes_leave_every_count_exact(kafka: Any) -> None:
    async with trial(kafka.bootstrap) as log, fleet(log, 2, **QUICK) as workers:
        stop = asyncio.Event()
        filler = asyncio.create_task(fill(log, stop))
        await workers.ready(2)
        await hurt(workers, random.Random(1), seconds=8)
        stop.set()
        await filler

        assert_exact(await log.settled(60), workers)


@pytest.mark.timeout(120)
async def test_a_worker_revived_in_the_middle_of_a_transaction_is_fenced(kafka: Any, tmp_path: Path) -> None:
    frozen = tmp_path / "frozen"
    async with trial(kafka.bootstrap) as log, fleet(log, 2, **QUICK, TIDEMARK_COUNTING_FREEZE=str(frozen)) as workers:
        await workers.ready(2)
        # Given a worker that stops with everything of a transaction sent and nothing committed,
        await log.produce((b"account-%d" % (i % 50), b"%d" % i) for i in range(2000))
        await until(workers.stopped, 20, workers.diagnosis)
        [victim] = workers.stopped()
        # when the other takes its partitions over and goes on with them, and then the first is revived,
        await until(lambda: workers.readiness[1 - victim][-1] == ["0", "1", "2", "3"], 30, workers.diagnosis)
        assert_exact(await log.settled(20), workers)
        workers.thaw(victim)
        await log.produce((b"account-%d" % (i % 50), b"%d" % i) for i in range(2000, 4000))

        # then it cannot commit, and ends.
        assert_exact(await log.settled(40), workers)
        await until(lambda: workers.exits, 20, workers.diagnosis)
        assert workers.exits == [EXIT_FAIL_STOP]


@pytest.mark.timeout(120)
async def test_a_crash_between_appends_and_their_commit_loses_none(kafka: Any, tmp_path: Path) -> None:
    order = {"TIDEMARK_COUNTING_APPENDS": "before_commit", "TIDEMARK_COUNTING_FREEZE": str(tmp_path / "frozen")}
    async with trial(kafka.bootstrap) as log, fleet(log, 1, **QUICK, **order) as workers:
        await workers.ready(1)
        # Given a worker that has appended what follows from a transaction, and has not committed it,
        await log.produce((b"account-%d" % (i % 50), b"append") for i in range(2000))
        await until(workers.stopped, 20, workers.diagnosis)
        assert await log.read(SIDE)
        # when it is killed,
        workers.kill(0)

        # then the next folds the same again: nothing is missing, and what is there twice says the same.
        assert_exact(await log.settled(40), workers)
        found = Counter((r.key, r.value) for r in await log.read(SIDE))
        assert found.keys() == {(b"account-%d" % k, b"after:%d" % n) for k in range(50) for n in range(1, 41)}
        assert max(found.values()) == 2


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
