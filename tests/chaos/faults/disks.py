"""Disks are full, and there is room again: a broker's, all brokers' at once, the warehouse's."""

from __future__ import annotations

import asyncio

from services.shared.errors import Fatal
from tests.chaos.fault import Fault, under_load
from tests.chaos.stage import Stage, passes

FULL_S = 12.0
_TIMES, _ROOM_S = 8, 1.0
"""The warehouse's disk is full so often, with so long between: what is being written when the room goes is what is in danger."""
_NO_ROOM = (b"NOT_ENOUGH_SPACE", b"a write of the embedded store failed")
"""What ClickHouse says, or the warehouse of it as it ends."""


def _possible(stage: Stage) -> str | None:
    return stage.volumes.why_not


def _brokers(name: str, title: str, numbers: tuple[int, ...]) -> Fault:
    async def harm(stage: Stage) -> list[str]:
        volumes = [f"node-{number}" for number in numbers]
        for volume in volumes:
            await asyncio.to_thread(stage.volumes.fill, volume)
        await passes(FULL_S)
        ended = [broker for broker in stage.brokers if not broker.running]
        for volume in volumes:
            stage.volumes.free(volume)
        # A broker that cannot write ends itself; whoever supervises it starts it again.
        try:
            await asyncio.to_thread(stage.cluster.start)
        except Fatal as error:
            return [f"a broker did not come back when there was room: {error}"]
        return [] if ended else ["nothing was tried: no broker has met the full disk"]

    return under_load(name, title, harm, 90, why_not=_possible)


async def _warehouse(stage: Stage) -> list[str]:
    log = stage.deployment.programs["warehouse"].log
    before = log.stat().st_size
    for _ in range(_TIMES):
        await asyncio.to_thread(stage.volumes.fill, "warehouse")
        await passes(FULL_S / _TIMES)
        stage.volumes.free("warehouse")
        await passes(_ROOM_S)
    said = log.read_bytes()[before:]
    met = any(each in said for each in _NO_ROOM)
    return [] if met else ["nothing was tried: the warehouse has not met the full disk"]


FAULTS = [
    _brokers("disk-broker", f"the disk of broker 3 is full for {FULL_S:.0f} s", (3,)),
    _brokers("disk-brokers", f"the disks of all brokers are full for {FULL_S:.0f} s", (1, 2, 3)),
    under_load(
        "disk-warehouse",
        f"the disk of the warehouse is full {_TIMES} times, for {FULL_S:.0f} s",
        _warehouse,
        60,
        why_not=_possible,
    ),
]
