"""A worker before it has a broker."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from prometheus_client import CollectorRegistry

from services.shared.engine.errors import EXIT_FAIL_STOP, EXIT_REFUSED, FailStop
from services.shared.engine.kafka.cluster import Cluster
from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker.worker import Worker
from services.shared.errors import IncompatibleState
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings
from tests.support.counting.processor import counting_spec
from tests.support.waiting import until


def new_worker(tmp_path: Path, left: list[int]) -> Worker:
    return Worker(
        "counting",
        [counting_spec("events", "state", "out", "dead")],
        KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}"),
        EngineSettings(),
        CollectorRegistry(),
        ProcessSettings(data_dir=tmp_path),
        leave=left.append,
    )


async def test_a_worker_waits_for_its_broker_and_can_be_stopped_meanwhile(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left: list[int] = []
    worker = new_worker(tmp_path, left)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while "waiting_for_broker" not in caplog.messages:
            await asyncio.sleep(0.01)

    assert not running.done()
    assert not worker.ready
    worker.stop()
    async with asyncio.timeout(10):
        await running
    assert left == []


async def test_a_worker_that_waits_for_its_place_in_the_group_says_so_and_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka was away for long before it answered, and is not asked again before the wait is over."""
    module = "services.shared.engine.worker.worker"
    waiting = asyncio.Event()

    async def never_free(_: object) -> None:
        waiting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(f"{module}.until_answered", AsyncMock(return_value=Cluster({}, {})))
    monkeypatch.setattr(f"{module}.Membership.wait_until_free", never_free)
    worker = new_worker(tmp_path, [])
    worker._cluster._answered_at -= 300
    running = asyncio.create_task(worker.run())
    await waiting.wait()

    assert str(worker.not_ready()).startswith("waiting until nobody else is the group member counting-")
    assert worker.not_alive() is None
    worker.stop()
    await running


async def test_a_stop_that_hangs_with_the_loop_ends_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust joins its threads in the loop: nothing that runs in the loop could see to the end of it."""
    monkeypatch.setattr("services.shared.engine.worker.worker._LAST_RESORT_S", 0.1)
    left: list[int] = []
    gone = threading.Event()
    worker = new_worker(tmp_path, left)

    def leave(status: int) -> None:
        left.append(status)
        gone.set()

    monkeypatch.setattr(worker, "_leave", leave)

    async def hang() -> None:
        gone.wait(10)

    monkeypatch.setattr(worker, "_shut_down", hang)
    monkeypatch.setattr(worker, "_start", lambda: asyncio.sleep(0))
    worker.stop()
    await worker.run()

    assert left[0] == EXIT_FAIL_STOP
    assert gone.is_set()


@pytest.mark.parametrize(
    "watch",
    [
        "services.shared.engine.worker.watchdog.Watchdog.run",
        "services.shared.kafka.watch.ClusterWatch.run",
        "services.shared.engine.worker.worker.Worker._watch_place",
    ],
)
async def test_a_watch_that_breaks_ends_the_process(
    watch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else would see that nothing is watched any more."""

    async def for_ever(*_: object) -> None:
        await asyncio.Event().wait()

    async def broken(*_: object) -> None:
        raise ZeroDivisionError("as asked")

    async def answered(*_: object) -> Cluster:
        return Cluster({}, {})

    module = "services.shared.engine.worker.worker"
    for name in ("Worker._run_app", "Worker._watch_place", "Watchdog.run", "ClusterWatch.run", "TopicWatch.run"):
        monkeypatch.setattr(f"{module}.{name}", for_ever)
    monkeypatch.setattr(f"{module}.Worker._answered", answered)
    monkeypatch.setattr(f"{module}.Membership.wait_until_free", AsyncMock())
    monkeypatch.setattr(watch, broken)
    left: list[int] = []
    worker = new_worker(tmp_path, left)

    await worker._start()
    await until(lambda: left, 10)

    for task in worker._tasks:
        task.cancel()
    await asyncio.wait(worker._tasks)
    assert left == [EXIT_FAIL_STOP]


@pytest.mark.parametrize(
    ("error", "status"), [(FailStop("fenced"), EXIT_FAIL_STOP), (IncompatibleState("newer"), EXIT_REFUSED)]
)
async def test_a_process_leaves_once_with_a_status_that_says_whether_to_restart_it(
    tmp_path: Path, error: Exception, status: int
) -> None:
    left: list[int] = []
    worker = new_worker(tmp_path, left)

    worker.fail(error)
    worker.fail(FailStop("another"))

    assert left == [status]


async def test_a_process_whose_log_is_on_a_full_disk_leaves_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk(logging.NullHandler):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(logging.getLogger(), "handlers", [FullDisk()])
    left: list[int] = []

    new_worker(tmp_path, left).fail(FailStop("fenced"))

    assert left == [EXIT_FAIL_STOP]
