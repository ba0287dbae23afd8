"""Brokers end as by SIGKILL and come back after a while: each in turn, two at a time, all at once, and two before the third."""

from __future__ import annotations

import asyncio

from tests.chaos.fault import Fault, recovered, under_load
from tests.chaos.stage import Stage, monotonic, passes

DOWN_S = 10.0
LAST_S = 45.0


def _kill(*numbers: int) -> Fault:
    async def harm(stage: Stage) -> None:
        brokers = [stage.brokers[number - 1] for number in numbers]
        for broker in brokers:
            await asyncio.to_thread(broker.kill)
        await passes(DOWN_S)
        await asyncio.to_thread(stage.cluster.start)

    those = " and ".join(filter(None, (", ".join(map(str, numbers[:-1])), str(numbers[-1]))))
    title = f"kill -9 of broker{'s' if len(numbers) > 1 else ''} {those}, back after {DOWN_S:.0f} s"
    return under_load(f"broker-kill-{'-'.join(map(str, numbers))}", title, harm, bound_s=90)


async def _the_last_known(stage: Stage) -> list[str]:
    """Take away the two that a client may have forgotten, bring them back, and take away the one that it knows."""
    for broker in stage.brokers[:2]:
        await asyncio.to_thread(broker.kill)
    await passes(DOWN_S)
    await asyncio.to_thread(stage.cluster.start)
    problems = await recovered(stage, monotonic(), 2 * LAST_S)
    await asyncio.to_thread(stage.brokers[2].kill)
    gone = monotonic()
    while monotonic() < gone + LAST_S:
        await passes(0.5)
        if all(client.last_ok > gone + DOWN_S and client.without_ok_s < 2 for client in stage.load.clients):
            break
    else:
        problems.append(f"without broker 3 some clients had no 200 for {LAST_S:.0f} s, though 1 and 2 lead everything")
    await asyncio.to_thread(stage.cluster.start)
    return problems


FAULTS = [
    _kill(1),
    _kill(2),
    _kill(3),
    _kill(1, 2),
    _kill(1, 2, 3),
    under_load("broker-last-known", "brokers 1 and 2 gone and back, then 3 gone for long", _the_last_known, bound_s=90),
]
