"""A worker that counts, in the process of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec
from services.shared.engine.worker.worker import Worker
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, GROUP, OUT, SOURCE


@asynccontextmanager
async def working(
    kafka: KafkaSettings,
    folder: Path,
    settings: EngineSettings | None = None,
    registry: CollectorRegistry | None = None,
    spec: LaneSpec | None = None,
) -> AsyncIterator[Worker]:
    """Run a worker over the topics of trial.py; at the end it has never wanted to end the process."""
    left: list[int] = []
    worker = Worker(
        GROUP, [spec or counting_spec(SOURCE, CHANGELOG, OUT, DEAD)], kafka, settings or EngineSettings(),
        registry or CollectorRegistry(), ProcessSettings(data_dir=folder), leave=left.append,
    )  # fmt: skip
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await running
    assert not left
