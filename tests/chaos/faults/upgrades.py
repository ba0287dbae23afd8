"""
Rolling upgrades across a changed schema of events and a changed format of state, in any order, and the way back.

Two builds run side by side on three brokers, under load: this one, and the one before it (builds.py). No lane may stop,
nothing may be dead-lettered, and the replay of a log that both have written is the same. After the newest level is
written, the older build has to be refused, without loss.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from schemas import formats
from tests.chaos import builds, upgrading
from tests.chaos.fault import Fault, Row, under_load
from tests.chaos.stage import Stage
from tests.chaos.upgrading import INGEST_FIRST, SCORER_FIRST

BOUND_S = 90.0
_Upgrade = Callable[[Stage, Path], Awaitable[list[str]]]


def _from_the_older(name: str, title: str, upgrade: _Upgrade) -> Fault:
    """Make a fault of an upgrade that begins with every process in the older build and nothing in the log."""

    async def play(stage: Stage, row: Row) -> None:
        build = builds.older(stage.folder / f"older-{name}")
        await stage.fresh()
        stage.say("the older build takes over")
        await upgrading.roll(stage.deployment, INGEST_FIRST, build)

        async def harm(stage: Stage) -> list[str]:
            return await upgrade(stage, build)

        await under_load(name, title, harm, BOUND_S).play(stage, row)
        stage.clean = False  # it writes another level than the next fault expects

    return Fault(name, title, BOUND_S, play)


def _rolling(order: Sequence[str]) -> _Upgrade:
    async def upgrade(stage: Stage, build: Path) -> list[str]:
        deployment, kafka = stage.deployment, stage.deployment.kafka
        stage.say("upgrade")
        await upgrading.roll(deployment, order, None)
        events, state = await upgrading.events_by_version(kafka), await upgrading.state_by_format(kafka)
        problems = []
        if set(events) != {1} or set(state) != {1}:
            problems.append(f"written before the level was changed: events {events}, state {state}")
        stage.say("the newest level")
        await upgrading.roll(deployment, order, None, formats.NEWEST)
        await upgrading.move(deployment, "scorer-1", "scorer-2")
        events, state = await upgrading.events_by_version(kafka), await upgrading.state_by_format(kafka)
        if set(events) != {1, 2} or 2 not in state:
            problems.append(f"nothing was tried: events {events}, state {state}")
        return problems + await upgrading.stopped_lanes(deployment)

    return upgrade


async def _back(stage: Stage, build: Path) -> list[str]:
    deployment = stage.deployment
    stage.say("upgrade, all but ingest")
    await upgrading.roll(deployment, SCORER_FIRST[:-1], None)
    stage.say("a step back")
    await upgrading.roll(deployment, INGEST_FIRST[1:], build)
    return await upgrading.stopped_lanes(deployment)


async def _refused(stage: Stage, build: Path) -> list[str]:
    deployment = stage.deployment
    for level in (formats.DEFAULT, formats.NEWEST):
        stage.say(f"upgrade, level {level}")
        for name in deployment.programs:
            await upgrading.put(deployment, name, None, level)
    problems = await upgrading.stopped_lanes(deployment)
    for name in ("scorer-2", "warehouse"):
        stage.say(f"{name} goes back")
        problems += await upgrading.refused(deployment, name, build)
    stage.say("upgraded again")
    for name in ("scorer-2", "warehouse"):
        await upgrading.put(deployment, name, None, formats.NEWEST)
    return problems


FAULTS = [
    _from_the_older("upgrade-ingest-first", "rolling upgrade, ingest first, then the newest formats", _rolling(INGEST_FIRST)),
    _from_the_older("upgrade-scorer-first", "rolling upgrade, scorer first, then the newest formats", _rolling(SCORER_FIRST)),
    _from_the_older("upgrade-back", "half of an upgrade, and a step back", _back),
    _from_the_older("upgrade-refused", "scorer and warehouse go back after the newest formats were written", _refused),
]  # fmt: skip
