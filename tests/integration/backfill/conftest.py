"""A real ingest process and a real scorer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.backfill.files import EventFile, survey
from services.backfill.mapping import Mapping
from services.backfill.times import TimeFormat
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_S
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

NOW_MS = time.time_ns() // 1_000_000
TODAY = NOW_MS // 1000 // DAY_S
COMMITS = Mapping(account="acct", user="user", time="ts", time_format=TimeFormat.SECONDS, event_name="Commit")
WRITE_KEYS = entry("live", "app") + entry("past", "git", backfill=True)


@pytest.fixture
async def ingest(kafka_settings: KafkaSettings, tmp_path: Path) -> AsyncIterator[str]:
    """Yield the address of an ingest process of its own."""
    keys = tmp_path / "write-keys.yaml"
    keys.write_text(WRITE_KEYS)
    process = ServiceProcess("ingest", kafka_settings, tmp_path, TIDEMARK_WRITE_KEYS_FILE=str(keys))
    await process.start()
    try:
        await until(process.ready, within_s=60)
        yield f"http://127.0.0.1:{process.port}"
    finally:
        await process.stop()


@pytest.fixture
async def scorer(kafka_settings: KafkaSettings, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    """Run the real scorer."""
    process = ServiceProcess("scorer", kafka_settings, tmp_path, TIDEMARK_ENGINE_INSTANCE="scorer-of-a-backfill")
    await process.start()
    try:
        yield process
    finally:
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
