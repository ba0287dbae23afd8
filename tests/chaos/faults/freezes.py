"""Processes stop where they stand, with all their connections, and go on later as if nothing had happened."""

from __future__ import annotations

from tests.chaos.fault import under_load
from tests.chaos.stage import Stage, passes

SCORER_S = 18.0
"""Its session times out after 10 s, and its transactions after 15 s."""
BROKER_S = 12.0
"""Its session times out after 4 s."""


async def _scorer(stage: Stage) -> None:
    stage.deployment.freeze("scorer-1")
    await passes(SCORER_S)
    stage.deployment.thaw("scorer-1")


async def _broker(stage: Stage) -> None:
    stage.brokers[1].pause()
    await passes(BROKER_S)
    stage.brokers[1].resume()


FAULTS = [
    under_load(
        "freeze-scorer", f"scorer-1 frozen for {SCORER_S:.0f} s, longer than its session, then revived", _scorer, 60
    ),
    under_load("freeze-broker", f"broker 2 frozen for {BROKER_S:.0f} s, then revived", _broker, 90),
]
