"""A worker that is told to end does so, whatever it is doing and whatever Kafka does."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.shared.engine.errors import EXIT_FAIL_STOP
from services.shared.kafka.clients import admin
from services.shared.kafka.embedded.broker import EmbeddedBroker
from tests.support.counting.trial import GROUP, Trial, trial
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]

QUICK = {
    "TIDEMARK_ENGINE_SESSION_TIMEOUT_S": "10",
    "TIDEMARK_ENGINE_HEARTBEAT_S": "0.3",
    "TIDEMARK_ENGINE_TRANSACTION_MS": "50",
}


class Counting:
    """A counting worker as a process; its log is kept."""

    def __init__(self, log: Trial, folder: Path, slot: int = 0, **environment: str) -> None:
        self.file = folder / f"worker-{slot}.log"
        with self.file.open("ab") as out:
            self.process = log.spawn(slot, out, **{**QUICK, **environment})

    def says(self, what: str, times: int = 1) -> bool:
        return self.file.read_text(errors="replace").count(what) >= times

    async def stop(self, within_s: float) -> int:
        """Tell it to end; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self.process.wait, within_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still there after {within_s} s\n{self.file.read_text(errors='replace')[-3000:]}")


@contextmanager
def ending(*workers: Counting) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()


async def rebalancing(log: Trial) -> None:
    """Wait until the group does."""
    async with asyncio.timeout(40), admin(log.kafka) as client:
        while True:
            [response] = await client.describe_consumer_groups([log.scoped(GROUP)])
            if response.groups[0][2] == "PreparingRebalance":
                return
            await asyncio.sleep(0.05)


async def test_a_worker_that_loads_its_lanes_stops_at_once(kafka: Any, tmp_path: Path) -> None:
    async with trial(kafka.bootstrap, partitions=2) as log:
        worker = Counting(log, tmp_path, TIDEMARK_COUNTING_LOAD_S="100")
        with ending(worker):
            await until(lambda: worker.says(" assigned "))
            assert await worker.stop(8) == 0


async def test_a_worker_in_a_rebalance_that_does_not_end_stops_within_its_time(kafka: Any, tmp_path: Path) -> None:
    """A member that is frozen holds up the rebalance until its session ends."""
    async with trial(kafka.bootstrap, partitions=4) as log:
        first, frozen = (Counting(log, tmp_path, slot, TIDEMARK_ENGINE_SESSION_TIMEOUT_S="60") for slot in (0, 1))
        with ending(first, frozen):
            await until(lambda: first.says(" lane_opened ") and frozen.says(" lane_opened "))
            frozen.process.send_signal(signal.SIGSTOP)
            third = Counting(log, tmp_path, 2, TIDEMARK_ENGINE_SESSION_TIMEOUT_S="60")
            with ending(third):
                await rebalancing(log)
                assert await first.stop(15) == 0


@pytest.mark.parametrize("how", [pytest.param("kill", marks=pytest.mark.long), "pause"])
async def test_a_worker_without_its_broker_stops_within_its_time(tmp_path: Path, how: str) -> None:
    """With something to commit, and a broker that is gone or hangs: what was not committed is folded again."""
    broker = EmbeddedBroker(tmp_path / "kafka")
    broker.start()
    try:
        async with trial(broker.bootstrap, partitions=2) as log:
            worker = Counting(log, tmp_path, TIDEMARK_ENGINE_TRANSACTION_MS="5000")
            with ending(worker):
                await until(lambda: worker.says(" lane_opened ", 2))
                await log.produce((b"k%d" % n, b"1") for n in range(100))
                await asyncio.to_thread(getattr(broker, how))
                began = time.monotonic()
                assert await worker.stop(24) in (0, EXIT_FAIL_STOP)
                assert time.monotonic() - began < 24
            if how == "pause":
                broker.resume()
            else:
                await asyncio.to_thread(broker.start)
            again = Counting(log, tmp_path)
            with ending(again):
                assert (await log.settled(40)).exact
    finally:
        broker.kill()
