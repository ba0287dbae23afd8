"""
All processes of one Tidemark, each of which can be killed, frozen, stopped or given a wrong clock, and a watcher.

The watcher does what a supervisor does: it starts again whatever ends, except with a status that says that this
would not help.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from services.shared.kafka import topics
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from tests.support.keys import entry
from tests.support.waiting import until

RESTART_AFTER_S = 0.5
_STOP_WITHIN_S = 30.0
_LANES = ("tidemark_engine_lag", "tidemark_engine_queued", "tidemark_engine_lanes", "tidemark_engine_lane_")
"""What the names of metrics begin with that show how the lanes of a program stand."""
_NOT_AGAIN = (2, 78)
"""Exit statuses after which a supervisor leaves a process down."""
WRITE_KEYS = entry("live", "app") + entry("past", "app", backfill=True)


@dataclass
class Program:
    """One process and what is known of it. A name may end in the number of its slot, from 1: `scorer-2`."""

    name: str
    port: int
    log: Path
    environment: dict[str, str]
    command: Sequence[str]
    """What starts it; another build of Tidemark is another command."""
    folder: Path | None = None
    """Where it is started; here when None."""
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    ended: int = 0
    """How often it ended while it was wanted, by a kill or by itself."""
    given_up: int | None = None
    """The exit status after which it is not started again."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def spawn(self) -> None:
        """Start it. When this process ends, however, it ends too."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command, env=self.environment, cwd=self.folder, stdout=out, stderr=subprocess.STDOUT
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    def end_of_log(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


@dataclass
class Deployment:
    """The processes of one Tidemark on some cluster, by name."""

    folder: Path
    kafka: KafkaSettings
    programs: dict[str, Program] = field(default_factory=dict)

    def named(self, service: str) -> list[Program]:
        """Return the programs of a service, in the order of their slots."""
        return [program for name, program in self.programs.items() if name.split("-")[0] == service]

    def add(self, name: str, **more: str) -> Program:
        """Make a program with some further variables; it is not started."""
        service, _, number = name.partition("-")
        port = free_port()
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "TIDEMARK_TOPIC_PREFIX": self.kafka.topic_prefix,
            "TIDEMARK_PARTITIONS": str(self.kafka.partitions),
            "TIDEMARK_HTTP_HOST": "127.0.0.1",
            "TIDEMARK_HTTP_PORT": str(port),
            "TIDEMARK_DATA_DIR": str(self.folder / name),
            "TIDEMARK_WRITE_KEYS_FILE": str(self.folder / "write-keys.yaml"),
            "TIDEMARK_PSEUDONYM_KEY": "5e" * 32,
            "TIDEMARK_SLOT": str(int(number or 1) - 1),
            "TIDEMARK_STOP_WITH_PARENT": "1",
            **({"TIDEMARK_REPLICATION": str(self.kafka.replication)} if self.kafka.replication else {}),
            **more,
        }
        command = [sys.executable, "-m", f"services.{service}"]
        made = Program(name, port, self.folder / f"{name}.log", environment, command)
        self.programs[name] = made
        return made

    def start(self, name: str) -> None:
        """Start a program and keep it running."""
        program = self.programs[name]
        program.wanted, program.given_up = True, None
        program.spawn()

    def kill(self, name: str) -> None:
        """End a program as a crash would; the watcher starts it again."""
        self.programs[name].signal(signal.SIGKILL)

    def freeze(self, name: str) -> None:
        """Stop a program where it stands."""
        self.programs[name].signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen program go on, as if nothing had happened."""
        self.programs[name].signal(signal.SIGCONT)

    async def stop(self, name: str) -> None:
        """End a program in order and leave it down."""
        program = self.programs[name]
        program.wanted = False
        if program.process is not None and program.alive:
            program.signal(signal.SIGCONT)
            program.signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(program.process.wait, _STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                program.process.kill()
                await asyncio.to_thread(program.process.wait, _STOP_WITHIN_S)

    async def restart(self, name: str, environment: Mapping[str, str], without: Sequence[str] = ()) -> None:
        """End a program in order and start it with some variables more, and some less."""
        await self.stop(name)
        program = self.programs[name]
        kept = {key: value for key, value in program.environment.items() if key not in without}
        program.environment = {**kept, **environment}
        self.start(name)

    async def watch(self) -> None:
        """Start again whatever ends, until cancelled."""
        while True:
            for program in self.programs.values():
                if program.wanted and not program.alive and program.process is not None:
                    program.ended += 1
                    if program.process.returncode in _NOT_AGAIN:
                        program.wanted, program.given_up = False, program.process.returncode
                        continue
                    await asyncio.sleep(RESTART_AFTER_S)
                    if program.wanted:
                        program.spawn()
            await asyncio.sleep(0.1)  # the supervisor's own pace, until it is cancelled

    async def not_ready(self, name: str) -> str | None:
        """Return why a program does not do its work; None when it does."""
        program = self.programs[name]
        if program.given_up is not None:
            return f"{name} ended with status {program.given_up}: {program.end_of_log(2)}"
        if not program.alive:
            return f"{name} does not run"
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
                answer = await client.get(program.url + "/readyz")
        except httpx.HTTPError:
            return f"{name} does not answer"
        return None if answer.is_success else f"{name} is not ready: {answer.text[:200]}"

    async def described(self) -> str:
        """Say of each program whether it does its work, how far its lanes lag, and what it logged last."""
        parts = []
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            for name, program in self.programs.items():
                parts.append(f"{await self.not_ready(name) or f'{name} is ready'}\n{program.end_of_log(5)}")
                with suppress(httpx.HTTPError):
                    lines = (await client.get(program.url + "/metrics")).text.splitlines()
                    parts += [line for line in lines if line.startswith(_LANES)]
        return "\n".join(parts)

    async def ready(self, name: str, within_s: float = 90.0) -> None:
        """
        Wait until a program does its work.

        Raises:
            TimeoutError: it does not in time; the text says why.
        """
        reason: str | None = None

        async def works() -> bool:
            nonlocal reason
            reason = await self.not_ready(name)
            return reason is None

        await until(works, within_s, lambda: f"{reason} after {within_s:.0f} s\n{self.programs[name].end_of_log()}")


@asynccontextmanager
async def deployed(
    folder: Path,
    kafka: KafkaSettings,
    names: Sequence[str],
    spare: Sequence[str] = (),
    environment: Mapping[str, Mapping[str, str]] | None = None,
    build: Path | None = None,
) -> AsyncIterator[Deployment]:
    """
    Create the topics, start the programs and the watcher, and yield when all are ready.

    Args:
        folder: For everything that they keep.
        kafka: The cluster, and the names and sizes on it.
        names: The programs to start.
        spare: Programs that are made and not started.
        environment: Further variables of programs, by name.
        build: The folder of the build that they are started from; this one when None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "write-keys.yaml").write_text(WRITE_KEYS)
    made = Deployment(folder, kafka)
    watcher = None
    try:
        await topics.create(kafka)
        for name in (*names, *spare):
            made.add(name, **(environment or {}).get(name, {})).folder = build
        for name in names:
            made.start(name)
        watcher = asyncio.create_task(made.watch())
        for name in names:
            await made.ready(name)
        yield made
    finally:
        if watcher is not None:
            watcher.cancel()
        await asyncio.gather(*(made.stop(name) for name in made.programs))
