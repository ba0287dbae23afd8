"""What the watchdog sees of a worker on a real broker, and what it leaves alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from prometheus_client import CollectorRegistry

from services.shared.engine.errors import EXIT_FAIL_STOP
from services.shared.engine.faust_seam.app import consumer_of
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.engine.worker import watchdog
from services.shared.engine.worker.worker import Worker
from services.shared.kafka.clients import transactional_producer
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.settings import ProcessSettings
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, OUT, SOURCE, Trial, trial
from tests.support.quotas import limit_clients
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SPEC = counting_spec(SOURCE, CHANGELOG, OUT, DEAD)


@asynccontextmanager
async def counting(
    log: Trial, stall_s: float, spec: LaneSpec = SPEC, poll_s: float = 60
) -> AsyncIterator[tuple[Worker, list[int]]]:
    """Run a worker in this process, ready; statuses that it would have left with are gathered."""
    left: list[int] = []
    settings = EngineSettings(
        transaction_ms=20, session_timeout_s=6, heartbeat_s=0.5, stall_s=stall_s, max_poll_interval_s=poll_s
    )
    process = ProcessSettings(data_dir=Path(log.data_dir))
    worker = Worker("counting", [spec], log.kafka, settings, CollectorRegistry(), process, leave=left.append)
    running = asyncio.create_task(worker.run())
    try:
        await until(lambda: worker.ready or running.done(), 40)
        yield worker, left
    finally:
        worker.stop()
        await running


async def counted(log: Trial, worker: Worker, first: int, within_s: float) -> None:
    """Produce one record to each of some keys and wait until all are durable."""
    await log.produce((b"k%d" % n, b"%d" % n) for n in range(first, first + 20))
    await until(lambda: sum(lane.durable.offset for lane in worker.lanes.of(SOURCE).values()) >= first + 20, within_s)


async def test_an_end_that_is_never_told_delays_no_lane_and_turns_readiness_red(
    kafka: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a partition without leader; asked in the consumer's thread, two such questions starve all fetches."""
    async with trial(kafka.bootstrap, partitions=2) as log, counting(log, stall_s=4) as (worker, left):
        asked = 0

        async def hang(*_: object) -> dict[Any, int]:
            nonlocal asked
            asked += 1
            await asyncio.Event().wait()  # never told
            return {}

        monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", hang)
        monkeypatch.setattr(watchdog, "_EVERY_S", 0.1)
        n = 0
        while asked < 6:
            await counted(log, worker, n, within_s=2)
            n += 20

        await until(lambda: "ends" in str(worker.not_ready()), 15)
        await counted(log, worker, n, within_s=2)
        assert left == []
        monkeypatch.undo()
        await until(lambda: worker.ready, 15)


async def test_a_consumer_that_a_quota_makes_wait_ends_no_process(own_broker: EmbeddedBroker) -> None:
    """A new process would wait as long, and would have thrown away what this one has."""
    async with trial(own_broker.bootstrap, partitions=2) as log:
        for _ in range(8):  # a batch that is larger than what may be taken in ten seconds would never be given
            await log.produce((b"k%d" % n, b"1" * 10_000) for n in range(3))
        await limit_clients(log.kafka, "consumer_byte_rate", 10_000)

        async with counting(log, stall_s=1) as (worker, left):
            await until(lambda: "does not move" in str(worker.not_ready()), 40)
            await until(lambda: sum(lane.durable.offset for lane in worker.lanes.of(SOURCE).values()) == 24, 60)

            assert left == []


async def test_a_consumer_that_hangs_is_seen_and_the_process_ends(kafka: Any) -> None:
    async with trial(kafka.bootstrap, partitions=2) as log, counting(log, stall_s=1) as (worker, left):
        release = threading.Event()
        assert worker._app is not None
        consumer_of(worker._app)._thread.thread_loop.call_soon_threadsafe(release.wait)
        try:
            await until(lambda: "has not polled" in str(worker.not_ready()), 5)
            await until(lambda: left, 10)
        finally:
            release.set()

        assert left == [EXIT_FAIL_STOP]
        assert "has not polled" in str(worker.failed)


async def test_calls_that_hang_in_the_thread_of_the_consumer_are_seen_too(kafka: Any) -> None:
    """Its loop runs and its heartbeats go on, but both of its method workers wait: nothing is fetched."""
    async with trial(kafka.bootstrap, partitions=2) as log, counting(log, stall_s=1) as (worker, left):
        assert worker._app is not None
        thread = consumer_of(worker._app)._thread
        hanging = [asyncio.create_task(thread.call_thread(asyncio.sleep, 8)) for _ in range(2)]

        await until(lambda: left, 8)

        assert left == [EXIT_FAIL_STOP]
        await asyncio.gather(*hanging)


async def test_while_kafka_is_away_readiness_is_red_and_the_process_stays(tmp_path: Path) -> None:
    """A restart would heal nothing: the watchdog's own client finds no broker either."""
    broker = EmbeddedBroker(tmp_path / "kafka")
    broker.start()
    try:
        async with trial(broker.bootstrap, partitions=2) as log, counting(log, stall_s=2) as (worker, left):
            await counted(log, worker, 0, within_s=10)
            await asyncio.to_thread(broker.kill)
            await until(worker.not_ready, 20)
            with pytest.raises(TimeoutError):
                await until(lambda: left, 3 * 2)  # longer than the patience with a stall

            await asyncio.to_thread(broker.start)
            await until(lambda: worker.ready, 60)
            await counted(log, worker, 20, within_s=30)
            assert left == []
    finally:
        broker.kill()


async def test_a_lane_behind_a_transaction_that_stays_open_is_named_and_ends_no_process(kafka: Any) -> None:
    """What is committed behind it can be read by nobody who reads committed records: a restart would heal nothing."""
    spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD, SourceMode.TRANSACTIONAL)
    async with trial(kafka.bootstrap, partitions=1) as log, counting(log, stall_s=1, spec=spec) as (worker, left):
        await log.produce([(b"a", b"1")])
        other = transactional_producer(log.kafka, "count-other", transaction_timeout_ms=60_000)
        await other.start()
        await other.begin_transaction()
        await other.send_and_wait(log.scoped(SOURCE), b"1", b"a")
        await log.produce([(b"a", b"1")] * 3)

        await until(lambda: "waits at offset 1 behind a transaction" in str(worker.not_ready()), 15)
        with pytest.raises(TimeoutError):
            await until(lambda: left, 4)  # longer than the patience with a stall

        await other.commit_transaction()
        await until(lambda: sum(lane.durable.offset for lane in worker.lanes.of(SOURCE).values()) > 4, 15)
        await until(lambda: worker.ready, 15)
        assert left == []
        await other.stop()


@pytest.mark.parametrize("ended", ["_coordination_task", "_sync_task"])
async def test_a_client_that_no_longer_takes_part_in_its_group_ends_the_process(kafka: Any, ended: str) -> None:
    """It would go on fetching what it has, and partitions that the group gives it would be read by nobody."""
    async with trial(kafka.bootstrap, partitions=2) as log, counting(log, stall_s=30) as (worker, left):
        assert worker._app is not None
        client: Any = consumer_of(worker._app)._thread._consumer
        task = getattr(client._coordinator if ended == "_coordination_task" else client._client, ended)
        task.get_loop().call_soon_threadsafe(task.cancel)

        await until(lambda: left == [EXIT_FAIL_STOP], 10)

        assert "has ended by itself" in str(worker.failed)


async def test_a_rebalance_that_takes_longer_than_the_poll_interval_comes_to_its_end(
    kafka: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing polls while lanes come to rest, and aiokafka lets nobody join who has not polled for so long."""
    async with trial(kafka.bootstrap, partitions=2) as log, counting(log, stall_s=60, poll_s=2) as (worker, left):
        assert worker._app is not None
        await counted(log, worker, 0, 20)
        rest = worker.lanes.hold

        async def slow_to_rest() -> None:
            await rest()
            await asyncio.sleep(3)  # how long the rest takes is what is tested: longer than the poll interval

        monkeypatch.setattr(worker.lanes, "hold", slow_to_rest)
        client: Any = consumer_of(worker._app)._thread._consumer
        generation = client._coordinator.generation
        consumer_of(worker._app)._thread.thread_loop.call_soon_threadsafe(client._coordinator.request_rejoin)

        await until(lambda: client._coordinator.generation > generation, 30)
        await counted(log, worker, 20, 20)

        assert left == []
        monkeypatch.setattr(worker.lanes, "hold", rest)
