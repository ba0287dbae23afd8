"""For tests of whole processes: one service, run as in production, to be killed, stopped and asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import httpx

from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings


class ServiceProcess:
    """`python -m services.<name>` on a free port, or a given one, with the settings of a test's topics; its log is in the folder."""

    def __init__(self, name: str, kafka: KafkaSettings, folder: Path, **environment: str) -> None:
        self.name = name
        self.kafka = kafka
        self.port = int(environment.get("TIDEMARK_HTTP_PORT") or free_port())
        self.log = folder / f"{name}.log"
        self.process: asyncio.subprocess.Process | None = None
        self._environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TIDEMARK_TOPIC_PREFIX": kafka.topic_prefix,
            "TIDEMARK_PARTITIONS": str(kafka.partitions),
            "TIDEMARK_HTTP_PORT": str(self.port),
            "TIDEMARK_DATA_DIR": str(folder),
            **environment,
        }

    async def start(self) -> None:
        """Start it, or start it again."""
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"services.{self.name}", env=self._environment, stdout=out, stderr=out
            )

    async def kill(self) -> None:
        """End it with SIGKILL and wait for its end, also where it has ended before."""
        process = self._started()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def stop(self) -> int:
        """Ask it to end with SIGTERM; return its exit status, also where it has ended before."""
        process = self._started()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        return await process.wait()

    async def ready(self) -> bool:
        """
        Return whether it says that it is ready.

        Raises:
            RuntimeError: it has ended; the text is its log.
        """
        if self._started().returncode is not None:
            raise RuntimeError(self.log.read_text("utf-8"))
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{self.port}/readyz")).is_success
        except httpx.HTTPError:
            return False

    async def metrics(self) -> str:
        """Return its /metrics page."""
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{self.port}/metrics")).text

    def _started(self) -> asyncio.subprocess.Process:
        if self.process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self.process
