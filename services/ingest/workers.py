"""
Several ingest processes on one port, `tidemark ingest --workers N` (ADR 95).

The kernel spreads connections over them. Each is a whole ingest, with its own producer, limits and metrics; this
process only starts them, starts again what ended by itself, and ends with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine
from typing import Any

from services.shared import exit_status
from services.shared.errors import ConfigurationError, Fatal, Misfit
from services.shared.http.server import listener
from services.shared.process.lifecycle import stop_event
from services.shared.settings import ProcessSettings

log = logging.getLogger(__name__)

_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_LIVED_S = 10.0
"""A worker that lived so long is started again at once."""
_PORTS_APART = 10


def own_port(port: int, worker: int) -> int:
    """Return the port of one worker alone, for its metrics and health; workers count from 1."""
    return port + _PORTS_APART * worker


def problems(process: ProcessSettings, count: int) -> list[str]:
    """Return why so many workers cannot be run with these settings."""
    if count == 1:
        return []
    if process.http_port == 0:
        return ["TIDEMARK_INGEST_WORKERS: several workers need a TIDEMARK_HTTP_PORT other than 0"]
    if own_port(process.http_port, count) > 65_535:
        return [f"TIDEMARK_HTTP_PORT: {count} workers need ports up to {own_port(process.http_port, count)}"]
    return []


async def supervise(process: ProcessSettings, count: int) -> None:
    """
    Run workers until SIGTERM, and return once each of them has answered what it had.

    Raises:
        ConfigurationError: a worker says that it cannot run as it is configured; the others are stopped.
        Fatal: the port is in use.
    """
    stop = stop_event()
    # Several may listen there from now on; who else does would take our connections.
    listener(process.http_host, process.http_port).close()
    try:
        async with asyncio.TaskGroup() as group:
            for worker in range(1, count + 1):
                group.create_task(_keep(worker, stop))
    except* (ConfigurationError, Fatal) as errors:
        raise errors.exceptions[0] from None


async def _keep(worker: int, stop: asyncio.Event) -> None:
    """Run one worker, again and again, until `stop`."""
    pause = _PAUSE_S
    while not stop.is_set():
        began = time.monotonic()
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.ingest",
            env=os.environ | {"TIDEMARK_INGEST_WORKER": str(worker), "TIDEMARK_STOP_WITH_PARENT": "1"},
        )
        log.info("worker_started", extra={"worker": worker, "pid": running.pid})
        try:
            await _first(running.wait(), stop.wait())
        finally:
            if running.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    running.send_signal(signal.SIGTERM)
            status = await asyncio.shield(running.wait())
        if stop.is_set():
            return
        log.error("worker_ended", extra={"worker": worker, "pid": running.pid, "status": status})
        if status in (exit_status.WRONG_SETTINGS, exit_status.REFUSED):
            kind = Misfit if status == exit_status.REFUSED else ConfigurationError
            raise kind([f"worker {worker} cannot run as it is configured; its log says why"])
        if time.monotonic() - began > _LIVED_S:
            pause = _PAUSE_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(_LONGEST_PAUSE_S, 2 * pause)


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
