"""A scorer process under measurement: its start, its readiness, and what it has made durable."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.shared.kafka.clients import admin
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from tests.bench.cluster import environment

SOURCE, GROUP = "usage-events", "scorer"


class Scorer:
    """One running scorer, or another service."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, name: str = "the scorer") -> None:
        """Take what `running` started."""
        self.process = process
        self.name = name
        self.pid = process.pid
        self.url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        """Whether every lane is open."""
        self.must_live()
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=5):
                return True
        except OSError:
            return False

    def metric(self, name: str, labels: str) -> float:
        """Return the value of one series of the process's metrics; 0 before it exists."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=30) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name}{{{labels}}}"):
                    return float(line.rpartition(" ")[2])
        return 0.0

    def must_live(self) -> None:
        """Give up where the process has ended: nothing would ever move."""
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended with status {self.process.returncode}")

    def wait_ready(self, within_s: float) -> None:
        """Wait until every lane is open."""
        deadline = time.monotonic() + within_s
        while not self.ready():
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} was not ready after {within_s:.0f} s")
            time.sleep(0.05)


@contextmanager
def scorer(kafka: KafkaSettings, data: Path, **settings: str) -> Iterator[Scorer]:
    """Run a scorer with its defaults."""
    with running("services.scorer", kafka, data, **settings) as process:
        yield process


@contextmanager
def running(service: str, kafka: KafkaSettings, data: Path, **settings: str) -> Iterator[Scorer]:
    """Run a service's process with its defaults."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", service],
        env=environment(kafka, TIDEMARK_HTTP_PORT=str(port), TIDEMARK_DATA_DIR=str(data), **settings),
    )
    try:
        yield Scorer(process, port, service)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Durable:
    """How far the group has committed the source."""

    def __init__(self, client: AIOKafkaAdminClient, kafka: KafkaSettings) -> None:
        """Take a started client."""
        self._client = client
        self._group = kafka.scoped(GROUP)
        self._partitions = [TopicPartition(kafka.scoped(SOURCE), p) for p in range(kafka.partitions)]

    async def records(self) -> int:
        """Return how many records of the source are committed."""
        try:
            offsets = await self._client.list_consumer_group_offsets(self._group, partitions=self._partitions)
        except KafkaError:  # the group does not exist yet
            return 0
        return sum(max(0, at.offset) for at in offsets.values())


@asynccontextmanager
async def durable(kafka: KafkaSettings) -> AsyncIterator[Durable]:
    """Look at the group's offsets."""
    async with admin(kafka) as client:
        yield Durable(client, kafka)
