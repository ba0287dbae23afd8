"""Brokers end as by SIGKILL and come back after a while: each in turn, and two at a time."""

from __future__ import annotations

import asyncio

from tests.chaos.fault import Fault, under_load
from tests.chaos.stage import Stage, passes

DOWN_S = 10.0


def _kill(*numbers: int) -> Fault:
    async def harm(stage: Stage) -> None:
        brokers = [stage.brokers[number - 1] for number in numbers]
        for broker in brokers:
            await asyncio.to_thread(broker.kill)
        await passes(DOWN_S)
        await asyncio.to_thread(stage.cluster.start)

    those = " and ".join(map(str, numbers))
    title = f"kill -9 of broker{'s' if len(numbers) > 1 else ''} {those}, back after {DOWN_S:.0f} s"
    return under_load(f"broker-kill-{'-'.join(map(str, numbers))}", title, harm, bound_s=90)


FAULTS = [_kill(1), _kill(2), _kill(3), _kill(1, 2)]
