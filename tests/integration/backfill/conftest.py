"""A real ingest process, and a stand-in for the scorer that answers each closed day with a fleet record."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from schemas import codec
from services.shared.kafka.clients import producer
from services.shared.kafka.embedded import free_port
from services.shared.kafka.reading import reader
from services.shared.kafka.settings import KafkaSettings

DAY_MS = 86_400_000
WRITE_KEYS = """
- {write_key: live, source: app, environment: production, backfill: false}
- {write_key: past, source: git, environment: production, backfill: true}
"""


@pytest.fixture
def ingest(kafka_settings: KafkaSettings, tmp_path: Path) -> Iterator[str]:
    """Yield the address of an ingest process of its own."""
    keys = tmp_path / "write-keys.yaml"
    keys.write_text(WRITE_KEYS)
    port = free_port()
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_settings.bootstrap_servers,
        "TIDEMARK_TOPIC_PREFIX": kafka_settings.topic_prefix,
        "TIDEMARK_PARTITIONS": str(kafka_settings.partitions),
        "TIDEMARK_HTTP_PORT": str(port),
        "TIDEMARK_DATA_DIR": str(tmp_path),
        "TIDEMARK_WRITE_KEYS_FILE": str(keys),
    }
    process = subprocess.Popen([sys.executable, "-m", "services.ingest"], env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=50)) as client:
            for _ in range(2000):
                assert process.poll() is None, "ingest ended at start"
                with suppress(httpx.TransportError):
                    if client.get(url + "/readyz").status_code == httpx.codes.OK:
                        break
            else:
                pytest.fail("ingest did not become ready")
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
async def fleets(kafka_settings: KafkaSettings) -> AsyncIterator[None]:
    """Answer each day that ticks close on all partitions, as the scorer's fleet lane does."""
    task = asyncio.create_task(_answer(kafka_settings))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _answer(kafka: KafkaSettings) -> None:
    encode = codec.encoder("fleet")
    clocks = dict.fromkeys(range(kafka.partitions), 0)
    closed, epoch = -1, 0
    async with producer(kafka) as out, reader(kafka, "usage-events", committed=False) as (client, _):
        while True:
            for partition, records in (await client.getmany(timeout_ms=200)).items():
                for record in records:
                    name, value = codec.decode(record.value)
                    if name == "tick" and value["epoch"]:
                        epoch = value["epoch"]
                        clocks[partition.partition] = max(clocks[partition.partition], value["at"])
            day = min(clocks.values()) // DAY_MS - 1
            if day <= closed:
                continue
            for late in range(max(closed + 1, day - 3), day + 1):
                fleet = encode({"day": late, "epoch": epoch, "factor_ppm": 10**6, "accounts": 0, "weight_cap_milli": 0})
                for number in range(kafka.partitions):
                    await out.send_and_wait(kafka.scoped("usage-events"), fleet, partition=number)
            closed = day
