"""A worker that starts just as its broker dies waits for it and says so, and starts when it is back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker import worker as module
from services.shared.engine.worker.worker import Worker
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.settings import ProcessSettings
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, OUT, SOURCE, trial
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.mark.parametrize("step", ["learn", "producer"])
async def test_a_broker_that_dies_while_a_worker_starts_is_waited_for(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = EmbeddedBroker(tmp_path / "kafka")
    node.start()
    left: list[int] = []
    really, died = getattr(module, step), False

    def dies_before(*given: object) -> object:
        nonlocal died
        if not died:
            died = True
            node.kill()
        return really(*given)

    monkeypatch.setattr(module, step, dies_before)
    try:
        async with trial(node.bootstrap, partitions=2) as log:
            worker = Worker(
                "counting", [counting_spec(SOURCE, CHANGELOG, OUT, DEAD)], log.kafka, EngineSettings(),
                CollectorRegistry(), ProcessSettings(data_dir=tmp_path), leave=left.append,
            )  # fmt: skip
            running = asyncio.create_task(worker.run())
            await until(lambda: "nothing listens at" in str(worker.not_ready()), 30, lambda: str(worker.not_ready()))
            assert str(worker.not_ready()).startswith("waiting for Kafka: ")

            await asyncio.to_thread(node.start)

            await until(lambda: worker.ready or running.done(), 60, lambda: str(worker.not_ready()))
            worker.stop()
            await running
        assert not left
    finally:
        node.stop()
