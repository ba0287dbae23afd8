"""Two processes that go by one name in a group: the second is refused, and the first does not notice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.shared.engine.errors import EXIT_FAIL_STOP, EXIT_REFUSED
from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker.membership import Membership
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings
from tests.support.counting.trial import Trial, trial

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SESSION = {"TIDEMARK_ENGINE_SESSION_TIMEOUT_S": "6", "TIDEMARK_ENGINE_TRANSACTION_MS": "50"}


class Counting:
    """A counting worker as a process; its log is kept."""

    def __init__(self, log: Trial, folder: Path, slot: int = 0, **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        self.file = folder / "worker.log"
        self.began = time.monotonic()
        with self.file.open("ab") as out:
            self.process = log.spawn(slot, out, **{**SESSION, "TIDEMARK_DATA_DIR": str(folder), **environment})

    @property
    def text(self) -> str:
        return self.file.read_text(errors="replace")

    async def ready(self, lanes: int = 2) -> float:
        """Wait until so many lanes are open; return the seconds since the start."""

        def told() -> bool:
            assert self.process.stdout is not None
            found = (json.loads(line)["ready"] for line in self.process.stdout if line.startswith(b"{"))
            return any(len(ready) == lanes for ready in found)

        assert await asyncio.wait_for(asyncio.to_thread(told), 40), self.text
        return time.monotonic() - self.began

    async def ended(self, within_s: float = 40.0) -> int:
        return await asyncio.to_thread(self.process.wait, within_s)


async def first_to_end(workers: dict[str, Counting]) -> tuple[str, int]:
    while True:
        for name, worker in workers.items():
            if (status := worker.process.poll()) is not None:
                return name, status
        await asyncio.sleep(0.05)


@contextmanager
def ending(*workers: Counting) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait()


@asynccontextmanager
async def first_and_topics(kafka: Any, folder: Path, **environment: str) -> AsyncIterator[tuple[Trial, Counting]]:
    async with trial(kafka.bootstrap, partitions=2) as log:
        first = Counting(log, folder / "first", **environment)  # type: ignore[arg-type]
        with ending(first):
            await first.ready()
            yield log, first


async def fill(log: Trial, stop: asyncio.Event) -> None:
    n = 0
    while not stop.is_set():
        await log.produce((b"account-%d" % (n + i), b"%d" % i) for i in range(100))
        n += 100
        await asyncio.sleep(0.05)


async def test_a_second_process_of_the_same_name_is_refused_and_the_first_is_not_disturbed(
    kafka: Any, tmp_path: Path
) -> None:
    """As two containers with one host name: nothing on disk tells them apart."""
    async with first_and_topics(kafka, tmp_path) as (log, first):
        stop = asyncio.Event()
        filling = asyncio.create_task(fill(log, stop))
        second = Counting(log, tmp_path / "second")
        with ending(second):
            assert await second.ended() == EXIT_REFUSED
        stop.set()
        await filling

        assert "TIDEMARK_SLOT" in second.text
        assert (await log.settled(30)).exact
        assert first.process.poll() is None
        assert first.text.count(" assigned ") == 1
        assert first.text.count(" lane_opened ") == 2


async def test_a_second_process_in_the_same_folder_is_refused_at_once(kafka: Any, tmp_path: Path) -> None:
    """It does not ask the group first."""
    async with first_and_topics(kafka, tmp_path) as (log, first):
        second = Counting(log, tmp_path / "first")
        with ending(second):
            assert await second.ended() == EXIT_REFUSED
        assert first.process.poll() is None
        assert "waiting_for_instance" not in second.text


async def test_a_killed_worker_that_starts_again_takes_its_own_place_at_once(kafka: Any, tmp_path: Path) -> None:
    async with first_and_topics(kafka, tmp_path) as (log, first):
        first.process.kill()
        await first.ended()
        again = Counting(log, tmp_path / "first", TIDEMARK_ENGINE_SESSION_TIMEOUT_S="30")
        with ending(again):
            took = await again.ready()

        assert "waiting_for_instance" not in again.text
        assert took < 25, took  # the session that was killed holds its place for 30 s


async def test_a_worker_that_has_taken_its_own_place_stays_in_the_rebalances_that_follow(
    kafka: Any, tmp_path: Path
) -> None:
    """The broker goes on to show the client id of the former life: it was replaced, it did not join anew."""
    async with first_and_topics(kafka, tmp_path) as (log, first):
        first.process.kill()
        await first.ended()
        again = Counting(log, tmp_path / "first")
        with ending(again):
            await again.ready()
            another = Counting(log, tmp_path / "another", slot=1)
            with ending(another):
                await another.ready(lanes=1)
                await again.ready(lanes=1)
                assert again.process.poll() is None, again.text


async def test_a_worker_without_its_folder_waits_until_the_former_is_dead(kafka: Any, tmp_path: Path) -> None:
    # The former one's session must not end before this one has started and looks.
    async with first_and_topics(kafka, tmp_path, TIDEMARK_ENGINE_SESSION_TIMEOUT_S="12") as (log, first):
        first.process.kill()
        await first.ended()
        elsewhere = Counting(log, tmp_path / "elsewhere")
        with ending(elsewhere):
            await elsewhere.ready()

        assert "waiting_for_instance" in elsewhere.text


async def test_of_two_that_start_at_the_same_time_one_stays(kafka: Any, tmp_path: Path) -> None:
    """
    Neither finds the other when it looks. Whoever joined first is thrown out and then meets the other.

    Thrown out in the middle of joining it may not see by whom: it ends all the same, and its supervisor tries again.
    """
    async with trial(kafka.bootstrap, partitions=2) as log:
        with ExitStack() as running:

            def start(name: str) -> Counting:
                worker = Counting(log, tmp_path / name)
                running.enter_context(ending(worker))
                return worker

            both = {name: start(name) for name in ("one", "other")}
            async with asyncio.timeout(60):
                while (ended := await first_to_end(both))[1] == EXIT_FAIL_STOP:
                    assert "takes no part in group" in both[ended[0]].text
                    both[ended[0]] = start(ended[0])
            assert ended[1] == EXIT_REFUSED
            assert "has joined since" in both[ended[0]].text
            await log.produce((b"k%d" % n, b"1") for n in range(100))
            assert (await log.settled(30)).exact
            assert sum(worker.process.poll() is None for worker in both.values()) == 1


@pytest.mark.parametrize(
    ("variable", "limits"),
    [
        ("TIDEMARK_ENGINE_SESSION_TIMEOUT_S", ["group.min.session.timeout.ms", "group.max.session.timeout.ms"]),
        ("TIDEMARK_ENGINE_TRANSACTION_TIMEOUT_S", ["transaction.max.timeout.ms"]),
    ],
)
async def test_a_time_that_the_brokers_do_not_take_ends_a_worker_for_good_and_is_named(
    variable: str, limits: list[str], kafka: Any, tmp_path: Path
) -> None:
    """Without a poll aiokafka would keep the group's error to itself; and a new process would meet the same."""
    async with trial(kafka.bootstrap, partitions=2) as log:
        worker = Counting(log, tmp_path / "worker", 0, **{variable: "3600"})
        with ending(worker):
            assert await worker.ended() == EXIT_REFUSED
        assert f"{variable} (3600)" in worker.text
        assert all(limit in worker.text for limit in limits)


def test_two_processes_of_one_folder_are_told_apart_without_a_broker(tmp_path: Path) -> None:
    def membership(**engine: Any) -> Membership:
        settings = EngineSettings(**engine)
        return Membership(KafkaSettings(), "counting", settings, ProcessSettings(data_dir=tmp_path))

    first, second = membership(), membership()
    first.take()
    with pytest.raises(Exception, match="TIDEMARK_SLOT"):
        second.take()
    first.give_back()
    second.take()

    assert first.client_id == second.client_id
    membership(instance="another").take()
