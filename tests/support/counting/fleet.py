"""Counting workers under a supervisor that restarts what ends, and hands that hurt them."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from tests.support.counting.trial import Trial

_LOOK_EVERY_S = 0.05


class Fleet:
    """Some workers by slot; each is restarted when it ends."""

    def __init__(self, trial: Trial, environment: dict[str, str]) -> None:
        """Take what every worker gets on top of the trial's own environment."""
        self.trial = trial
        self.environment = environment
        self.exits: list[int] = []
        self.readiness: dict[int, list[list[str]]] = {}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._log = Path(trial.data_dir) / "workers.log"

    def start(self, slot: int) -> None:
        """Start the worker of a slot."""
        with self._log.open("ab") as log:
            process = self.trial.spawn(slot, log, **self.environment)
        self._processes[slot] = process
        self.readiness[slot] = []
        reader = asyncio.create_task(self._read(slot, process))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)

    def kill(self, slot: int) -> None:
        """End a worker as a power cut would."""
        self._processes[slot].send_signal(signal.SIGKILL)

    def freeze(self, slot: int) -> None:
        """Stop a worker where it stands."""
        self._processes[slot].send_signal(signal.SIGSTOP)

    def thaw(self, slot: int) -> None:
        """Let a frozen worker go on, as if nothing had happened."""
        self._processes[slot].send_signal(signal.SIGCONT)

    def stopped(self) -> list[int]:
        """Return the slots of the workers that are frozen."""
        return [s for s, p in self._processes.items() if psutil.Process(p.pid).status() == psutil.STATUS_STOPPED]

    async def leave(self, slot: int, within_s: float = 30.0) -> int:
        """Ask a worker to stop, for good, and return its exit status."""
        process = self._processes.pop(slot)
        process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(process.wait, within_s)

    async def ready(self, slots: int, within_s: float = 40.0) -> None:
        """
        Wait until so many workers share all partitions, each ready.

        Raises:
            TimeoutError: they do not in time; the text has the end of their log.
        """
        everything = {str(p) for p in range(self.trial.kafka.partitions)}
        try:
            async with asyncio.timeout(within_s):
                while True:
                    last = [told[-1] for slot, told in self.readiness.items() if told and slot in self._processes]
                    shared = sorted(p for held in last for p in held) == sorted(everything)
                    if len([held for held in last if held]) >= slots and shared:
                        return
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise TimeoutError(f"{slots} workers not ready: {self.diagnosis()}") from None

    async def supervise(self) -> None:
        """Restart what ends, until cancelled."""
        while True:
            for slot, process in list(self._processes.items()):
                status = process.poll()
                if status is not None:
                    self.exits.append(status)
                    self.start(slot)
            await asyncio.sleep(_LOOK_EVERY_S)

    def diagnosis(self) -> str:
        """Return what the workers said and how they ended, for a test that waited in vain."""
        return f"{self.readiness} {self.exits}\n{self.log()}"

    def log(self, characters: int = 4000) -> str:
        """Return the end of the workers' log."""
        return self._log.read_text(errors="replace")[-characters:] if self._log.exists() else ""

    def end(self) -> None:
        """End all workers at once."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    async def _read(self, slot: int, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            return
        told = self.readiness[slot]
        while line := await asyncio.to_thread(process.stdout.readline):
            if line.startswith(b"{"):
                told.append(json.loads(line)["ready"])


@asynccontextmanager
async def fleet(trial: Trial, slots: int, **environment: str) -> AsyncIterator[Fleet]:
    """Run so many supervised workers."""
    workers = Fleet(trial, environment)
    for slot in range(slots):
        workers.start(slot)
    supervisor = asyncio.create_task(workers.supervise())
    try:
        yield workers
    finally:
        supervisor.cancel()
        workers.end()
