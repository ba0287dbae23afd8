"""The whole pipeline as single processes that a test can kill, and a watcher that starts them again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from services.shared.kafka import topics
from services.shared.kafka.embedded import EmbeddedBroker, free_port
from services.shared.kafka.settings import KafkaSettings

SERVICES = ("ingest", "scorer", "alerter", "warehouse")
SECOND = "scorer-2"
RESTART_AFTER_S = 0.5
WRITE_KEYS = """
- {write_key: live, source: app, environment: production, backfill: false}
- {write_key: past, source: app, environment: production, backfill: true}
"""


@dataclass
class Program:
    """One process and what is known of it."""

    name: str
    port: int
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    ended: int = 0
    """How often it ended while it was wanted, by a kill or by itself."""

    def spawn(self) -> None:
        """Start it."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"services.{self.name.split('-')[0]}"],
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None


@dataclass
class Pipeline:
    """All processes of one Tidemark on a broker of their own."""

    folder: Path
    broker: EmbeddedBroker
    kafka: KafkaSettings
    programs: dict[str, Program] = field(default_factory=dict)

    @property
    def ingest(self) -> str:
        """Address of ingest."""
        return f"http://127.0.0.1:{self.programs['ingest'].port}"

    @property
    def warehouse(self) -> str:
        """Address of the warehouse."""
        return f"http://127.0.0.1:{self.programs['warehouse'].port}"

    def add(self, name: str) -> None:
        """Make a program; it is not started."""
        port = free_port()
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "TIDEMARK_PARTITIONS": str(self.kafka.partitions),
            "TIDEMARK_HTTP_PORT": str(port),
            "TIDEMARK_DATA_DIR": str(self.folder / name),
            "TIDEMARK_WRITE_KEYS_FILE": str(self.folder / "write-keys.yaml"),
            "TIDEMARK_SLOT": "1" if name == SECOND else "0",
        }
        self.programs[name] = Program(name, port, self.folder / f"{name}.log", environment)

    def start(self, name: str) -> None:
        """Start a program and keep it running."""
        self.programs[name].wanted = True
        self.programs[name].spawn()

    def kill(self, name: str) -> None:
        """End a program as a crash would; the watcher starts it again."""
        process = self.programs[name].process
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)

    async def stop(self, name: str) -> None:
        """End a program in order and leave it down."""
        program = self.programs[name]
        program.wanted = False
        if program.process is not None and program.alive:
            program.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(program.process.wait, 30)
            except subprocess.TimeoutExpired:
                program.process.kill()

    async def watch(self) -> None:
        """Start again whatever ends."""
        while True:
            for program in self.programs.values():
                if program.wanted and not program.alive:
                    program.ended += 1
                    await asyncio.sleep(RESTART_AFTER_S)
                    if program.wanted:
                        program.spawn()
            await asyncio.sleep(0.1)

    async def ready(self, name: str, within_s: float = 90.0) -> None:
        """Wait until a program does its work."""
        url = f"http://127.0.0.1:{self.programs[name].port}/readyz"
        async with asyncio.timeout(within_s), httpx.AsyncClient(trust_env=False) as client:
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get(url)).status_code == httpx.codes.OK:
                        return
                await asyncio.sleep(0.2)


@pytest.fixture
async def pipeline(tmp_path: Path) -> AsyncIterator[Pipeline]:
    """Yield a pipeline that is ready, with a watcher, on a broker that the test may stop."""
    broker = EmbeddedBroker(tmp_path / "kafka")
    await asyncio.to_thread(broker.start)
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap, partitions=4)
    (tmp_path / "write-keys.yaml").write_text(WRITE_KEYS)
    made = Pipeline(tmp_path, broker, kafka)
    watcher = None
    try:
        await topics.create(kafka)
        for name in (*SERVICES, SECOND):
            made.add(name)
        for name in SERVICES:
            made.start(name)
        watcher = asyncio.create_task(made.watch())
        for name in SERVICES:
            await made.ready(name)
        yield made
    finally:
        if watcher is not None:
            watcher.cancel()
        for name in (*SERVICES, SECOND):
            if name in made.programs:
                await made.stop(name)
        await asyncio.to_thread(broker.stop)
