"""A real ingest process and a real scorer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from services.backfill.files import EventFile, survey
from services.backfill.mapping import Mapping
from services.backfill.times import TimeFormat
from services.shared.kafka.embedded.broker import free_port
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_S
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess

NOW_MS = time.time_ns() // 1_000_000
TODAY = NOW_MS // 1000 // DAY_S
COMMITS = Mapping(account="acct", user="user", time="ts", time_format=TimeFormat.SECONDS, event_name="Commit")
WRITE_KEYS = entry("live", "app") + entry("past", "git", backfill=True)


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
async def scorer(kafka_settings: KafkaSettings, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    """Run the real scorer."""
    process = ServiceProcess("scorer", kafka_settings, tmp_path, TIDEMARK_ENGINE_INSTANCE="scorer-of-a-backfill")
    await process.start()
    try:
        yield process
    finally:
        if process.process is not None and process.process.returncode is None:
            await process.kill()


@pytest.fixture
def history(tmp_path: Path) -> EventFile:
    """Six days of events of seven accounts, the last day a week ago."""
    path = tmp_path / "history.csv"
    lines = [
        f"{(TODAY - 13 + day) * DAY_S + 3600 * hour},a{(day + hour) % 7},u{hour % 3}"
        for day in range(6)
        for hour in range(0, 24, 2)
    ]
    path.write_text("ts,acct,user\n" + "\n".join(lines) + "\n")
    return survey(path, COMMITS, "git", NOW_MS)
