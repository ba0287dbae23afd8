"""A changelog that was deleted and recreated while a worker ran: it has a position and little of the state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker.worker import Worker
from services.shared.settings import ProcessSettings
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, GROUP, OUT, SOURCE, Trial, trial
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@asynccontextmanager
async def working(log: Trial, folder: Path) -> AsyncIterator[Worker]:
    left: list[int] = []
    worker = Worker(
        GROUP, [counting_spec(SOURCE, CHANGELOG, OUT, DEAD)], log.kafka,
        EngineSettings(session_timeout_s=3, heartbeat_s=0.3, transaction_ms=20), CollectorRegistry(),
        ProcessSettings(data_dir=folder), leave=left.append,
    )  # fmt: skip
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await running
    assert not left


async def test_the_next_start_does_not_go_on_with_what_is_left_of_the_state(kafka: Any, tmp_path: Path) -> None:
    async with trial(kafka.bootstrap, partitions=1) as log:
        await log.produce((b"k%d" % n, b"1") for n in range(10))
        async with working(log, tmp_path):
            assert (await log.settled(30)).exact
            await log.recreate(CHANGELOG)
            await log.produce([(b"k0", b"1")])
            await until(lambda: log.read(CHANGELOG), 30)

        async with working(log, tmp_path) as again:
            await until(lambda: "deleted and recreated" in str(again.not_ready()), 30, lambda: str(again.not_ready()))
            assert f"{SOURCE}/0: the changelogs" in str(again.not_ready())
