"""
Clocks of single machines are wrong for a while, by libfaketime: a scorer's, an ingest's, a broker's.

Whoever's clock it is: no day closes early, no lane's time runs ahead, no event is lost or dead-lettered. And once the
clock is right again, every lane is ticked again.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.reading import decoded, ends, scan
from tests.chaos.fault import Fault, under_load
from tests.chaos.stage import Stage, monotonic, passes

WRONG_S = 20.0
TICKED_WITHIN_S = 75.0
"""A lane that has nothing due is ticked once a minute."""
_LIBRARY = "faketime/libfaketimeMT.so.1"
_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib")


@cache
def _library() -> str | None:
    found = [path for folder in _FOLDERS for pattern in ("", "*/") for path in Path(folder).glob(pattern + _LIBRARY)]
    return str(found[0]) if found else None


def _bent(offset: str) -> dict[str, str]:
    """Return the variables that put a process's clock off, as `+100d`; waiting goes on at its usual pace."""
    return {
        "LD_PRELOAD": _library() or "",
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # else each timed wait of Java's ends at once, and it only spins
        "NO_FAKE_STAT": "1",
    }


@cache
def _why_not() -> str | None:
    if _library() is None:
        return "libfaketime is not installed (Debian, Ubuntu: apt install faketime)"
    probe = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env=_bent("+1d"), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    if probe.returncode or abs(float(probe.stdout) - time.time() - 86_400) > 60:
        return f"libfaketime does not put this Python's clock off ({probe.stdout}{probe.stderr})"
    return None


def _program(fault: str, title: str, program: str, offset: str) -> Fault:
    async def harm(stage: Stage) -> list[str]:
        bent = _bent(offset)
        await stage.deployment.restart(program, bent)
        await passes(WRONG_S)
        await stage.deployment.restart(program, {}, without=tuple(bent))
        return await _without_ticks(stage)

    return under_load(fault, f"{title} for {WRONG_S:.0f} s", harm, 60, why_not=lambda _: _why_not())


async def _broker(stage: Stage) -> list[str]:
    broker = stage.brokers[2]
    await _restart(broker, _bent("+1d"))
    await passes(WRONG_S)
    ahead_s = await _latest_append_ms(stage) / 1000 - time.time()
    await _restart(broker, {})
    tried = [] if ahead_s > 80_000 else [f"nothing was tried: the latest append time is {ahead_s:.0f} s ahead"]
    return tried + await _without_ticks(stage)


async def _restart(broker: EmbeddedBroker, environment: dict[str, str]) -> None:
    await asyncio.to_thread(broker.stop)
    broker.environment = environment
    await asyncio.to_thread(broker.start)


async def _without_ticks(stage: Stage) -> list[str]:
    """Wait for a tick on every lane from now on; return those that get none."""
    kafka = stage.deployment.kafka
    at = await ends(kafka, "usage-events")
    missing = set(at)
    deadline = monotonic() + TICKED_WITHIN_S
    while missing and monotonic() < deadline:
        await passes(1)
        stop = await ends(kafka, "usage-events")
        async for record in scan(kafka, "usage-events", start=at, stop=stop):
            if decoded(record.value)[0] == "tick":
                missing.discard(record.partition)
        at = stop
    return [f"no tick on lane {lane} for {TICKED_WITHIN_S:.0f} s after the clock was right" for lane in sorted(missing)]


async def _latest_append_ms(stage: Stage) -> int:
    """Return the latest append time among the last records of usage-events."""
    kafka = stage.deployment.kafka
    start = {partition: max(0, end - 50) for partition, end in (await ends(kafka, "usage-events")).items()}
    return max([int(record.timestamp) async for record in scan(kafka, "usage-events", start=start)])


FAULTS = [
    _program("clock-scorer-ahead", "the clock of scorer-2 is 100 days ahead", "scorer-2", "+100d"),
    _program("clock-scorer-behind", "the clock of scorer-2 is an hour behind", "scorer-2", "-1h"),
    _program("clock-ingest-ahead", "the clock of ingest-2 is 25 hours ahead", "ingest-2", "+25h"),
    under_load(
        "clock-broker-ahead", f"the clock of broker 3 is a day ahead for {WRONG_S:.0f} s", _broker, 90,
        why_not=lambda _: _why_not(),
    ),
]  # fmt: skip
