"""The broker that a measurement runs on, topics of its own, and appending many records quickly."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psutil

from services.shared.kafka import topics
from services.shared.kafka.clients import producer
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings

PARTITIONS = 4
BROKER_PID = "TIDEMARK_BENCH_BROKER_PID"
_BATCH_BYTES = 900 << 10

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every leader that is elected a moment later


@contextmanager
def broker() -> Iterator[str]:
    """Give the address of the broker in KAFKA_BOOTSTRAP_SERVERS, or of one that is started for this measurement."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        own = EmbeddedBroker(Path(folder) / "kafka")
        own.start()
        os.environ[BROKER_PID] = str(own.pid)
        try:
            yield own.bootstrap
        finally:
            own.stop()


_TOPICS = """
import asyncio, sys
from services.shared.kafka import topics
from services.shared.kafka.settings import KafkaSettings
asyncio.run(getattr(topics, sys.argv[1])(KafkaSettings()))
"""


@contextmanager
def deployment(checkout: Path | None = None) -> Iterator[KafkaSettings]:
    """
    Give settings of a deployment of its own on the broker, with all its topics, and delete them afterwards.

    Where another `checkout` of the project is given, the topics are those that it has.
    """
    with broker() as bootstrap:
        kafka = KafkaSettings(
            bootstrap_servers=bootstrap, partitions=PARTITIONS, topic_prefix=f"b{uuid.uuid4().hex[:8]}-"
        )
        if checkout is None:
            asyncio.run(topics.create(kafka))
        else:
            _topics_of(checkout, kafka, "create")
        try:
            yield kafka
        finally:
            if checkout is None:
                asyncio.run(topics.delete(kafka))
            else:
                _topics_of(checkout, kafka, "delete")


def _topics_of(checkout: Path, kafka: KafkaSettings, what: str) -> None:
    subprocess.run(
        [sys.executable, "-c", _TOPICS, what], cwd=checkout, check=True,
        env=environment(kafka, PYTHONPATH=str(checkout)),
    )  # fmt: skip


def environment(kafka: KafkaSettings, **more: str) -> dict[str, str]:
    """Return the environment of a service process of this deployment."""
    return {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TIDEMARK_PARTITIONS": str(kafka.partitions),
        "TIDEMARK_TOPIC_PREFIX": kafka.topic_prefix,
        "TIDEMARK_LOG_LEVEL": "WARNING",
        **more,
    }


def cpu_of(pid: int | None) -> float:
    """Return the CPU seconds that a process has used; 0 where it is not known."""
    if not pid:
        return 0.0
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def broker_pid() -> int | None:
    """Return the broker's process id where it runs on this machine and is ours."""
    return int(os.environ[BROKER_PID]) if os.environ.get(BROKER_PID) else None


class Appender:
    """Appends to named partitions in batches as large as they come; what it wrote is acknowledged after `flush`."""

    def __init__(self, kafka: KafkaSettings) -> None:
        """Take the deployment; use it with `async with`."""
        self._kafka = kafka
        self._producer = producer(kafka, max_batch_size=_BATCH_BYTES, max_request_size=1 << 20)
        self._open: dict[tuple[str, int], Any] = {}
        self._sent: list[Any] = []

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.flush()
        await self._producer.stop()

    async def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Append one record to a topic, named without prefix."""
        home = topic, partition
        batch = self._open.get(home)
        if batch is None:
            batch = self._open[home] = self._producer.create_batch()
        if batch.append(timestamp=None, key=key, value=value) is None:
            await self._send(home)
            await self.append(topic, partition, key, value)

    async def flush(self) -> None:
        """Send what is open and wait until all is acknowledged."""
        for home in list(self._open):
            await self._send(home)
        for sent in self._sent:
            await sent
        self._sent = []

    async def _send(self, home: tuple[str, int]) -> None:
        topic, partition = home
        batch = self._open.pop(home)
        self._sent.append(await self._producer.send_batch(batch, self._kafka.scoped(topic), partition=partition))
