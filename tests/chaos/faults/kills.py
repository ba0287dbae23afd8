"""Each process ends as by SIGKILL, and its supervisor starts it again."""

from __future__ import annotations

from tests.chaos.fault import Fault, under_load
from tests.chaos.stage import PROGRAMS, Stage


def _kill(name: str) -> Fault:
    async def harm(stage: Stage) -> None:
        stage.deployment.kill(name)

    return under_load(f"kill-{name}", f"kill -9 of {name}", harm, bound_s=60)


FAULTS = [_kill(name) for name in PROGRAMS]
