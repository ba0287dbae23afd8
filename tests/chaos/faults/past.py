"""A backfill of twelve weeks goes on while everything is killed at random, and a scorer comes and goes."""

from __future__ import annotations

import asyncio
import time
from random import Random

from services.simulator import History
from tests.chaos.checks import check
from tests.chaos.clients import SEED, Seen
from tests.chaos.fault import Fault, Row, note, recovered
from tests.chaos.history import Blows, Past, send_past
from tests.chaos.stage import PROGRAMS, Stage, monotonic, passes

WEEKS, EVERY, PACE = 12, 4, 1.4
BOUND_S = 90.0
BLOWS = ("scorer", "alerter", "warehouse", "ingest", "leave", "broker")


async def _play(stage: Stage, row: Row) -> None:
    await stage.fresh()
    dice = Random(SEED)

    async def strike(blow: str) -> None:
        stage.say(f"a backfill is under way: {blow}")
        if blow == "broker":
            broker = dice.choice(stage.brokers)
            await asyncio.to_thread(broker.kill)
            await passes(3)
            await asyncio.to_thread(broker.start)
        elif blow == "leave":
            await stage.deployment.stop("scorer-2")
            await passes(3)
            stage.deployment.start("scorer-2")
        else:
            stage.deployment.kill(dice.choice([name for name in PROGRAMS if name.startswith(blow)]))

    past = Past(History(SEED, time.time_ns() // 1_000_000, WEEKS, EVERY, PACE), stage.sent)
    blows = Blows(strike)
    blows.plan(BLOWS, sum(1 for _ in past.events()))
    stage.say("a backfill is under way")
    breaking = asyncio.create_task(blows.run())
    seen = Seen()
    try:
        await send_past(stage.deployment.programs["ingest-1"].url, stage.deployment.kafka, past, seen, blows)
        await breaking
    finally:
        breaking.cancel()
    over = monotonic()
    stage.load.go()  # the present goes on after the past, and shows that all is well
    stage.say("recovering")
    reasons = await recovered(stage, over, BOUND_S)
    row.recovered_s = None if reasons else monotonic() - over
    row.problems += [f"not well after {BOUND_S:.0f} s: {reason}" for reason in reasons]
    if not await stage.load.pause():
        row.problems.append("some requests were never answered 200")
    live = stage.load.look()
    live.statuses += seen.statuses
    note(row, live)
    stage.say("comparing")
    row.take(await check(stage.deployment, stage.sent))
    if not row.signals:
        row.problems.append("the past gave no signals, so none were compared")
    stage.clean = row.good


FAULTS = [Fault("past", f"a backfill of {WEEKS} weeks, and each process and a broker killed during it", BOUND_S, _play)]
