"""The engine alone, with short sessions: two counting workers are killed and frozen at random, many times."""

from __future__ import annotations

import asyncio
from random import Random

from tests.chaos.counting import QUICK, fill, hurt
from tests.chaos.fault import Fault, Row
from tests.chaos.stage import Stage, monotonic
from tests.support.counting.fleet import fleet
from tests.support.counting.trial import trial

SECONDS = 40.0
BOUND_S = 60.0


async def _play(stage: Stage, row: Row) -> None:
    await stage.clear()
    stage.say("two workers count")
    async with trial(stage.cluster.bootstrap, replication=3) as log, fleet(log, 2, **QUICK) as workers:
        stop = asyncio.Event()
        filler = asyncio.create_task(fill(log, stop))
        try:
            await workers.ready(2)
            await hurt(workers, Random(2), SECONDS)
            stop.set()
            await filler
        finally:
            filler.cancel()
        over = monotonic()
        verdict = await log.settled(BOUND_S)
        row.recovered_s = monotonic() - over
        row.events = verdict.source
        row.restarts = {"workers": len(workers.exits)}
        counted = [(has - wanted) for wanted, has in verdict.wrong.values()]
        row.lost = _present({"counts": -sum(n for n in counted if n < 0), "outputs": sum(verdict.missing.values())})
        row.doubled = _present({"counts": sum(n for n in counted if n > 0), "outputs": sum(verdict.extra.values())})


def _present(counts: dict[str, int]) -> dict[str, int]:
    return {place: count for place, count in counts.items() if count}


FAULTS = [
    Fault("engine", f"two counting workers killed and frozen at random for {SECONDS:.0f} s", BOUND_S, _play),
]
