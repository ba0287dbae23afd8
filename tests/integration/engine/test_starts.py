"""A worker that starts just as its broker dies waits for it and says so, and starts when it is back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.shared.engine.worker import worker as module
from services.shared.kafka.embedded.broker import EmbeddedBroker
from tests.support.counting.in_process import working
from tests.support.counting.trial import trial
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.mark.parametrize("step", ["learn", "producer"])
async def test_a_broker_that_dies_while_a_worker_starts_is_waited_for(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = EmbeddedBroker(tmp_path / "kafka")
    node.start()
    really, died = getattr(module, step), False

    def dies_before(*given: object) -> object:
        nonlocal died
        if not died:
            died = True
            node.kill()
        return really(*given)

    monkeypatch.setattr(module, step, dies_before)
    try:
        async with trial(node.bootstrap, partitions=2) as log, working(log.kafka, tmp_path) as worker:
            await until(lambda: "nothing listens at" in str(worker.not_ready()), 30, lambda: str(worker.not_ready()))
            assert str(worker.not_ready()).startswith("waiting for Kafka: ")

            await asyncio.to_thread(node.start)

            await until(lambda: worker.ready, 60, lambda: str(worker.not_ready()))
    finally:
        node.stop()
