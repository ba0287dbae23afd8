"""What a lane does with a transaction that Kafka has committed in part, which it never should: the brokers are real, and so is the tear."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from services.shared.engine.errors import EXIT_FAIL_STOP
from services.shared.engine.kafka.changelog import bounds
from services.shared.engine.kafka.writer import LaneWriter
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import LaneSpec
from services.shared.engine.worker.worker import Worker
from services.shared.settings import ProcessSettings
from tests.support.counting.in_process import working
from tests.support.counting.processor import STORE, counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, GROUP, OUT, SIDE, SOURCE, Trial, trial
from tests.support.topic_settings import alter
from tests.support.torn_transactions import commit_in_part, offsets_partition
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SETTINGS = EngineSettings(session_timeout_s=3, heartbeat_s=0.3, transaction_ms=20)
TWO_STORES = replace(counting_spec(SOURCE, CHANGELOG, OUT, DEAD), stores={STORE: CHANGELOG, "more": SIDE})


@asynccontextmanager
async def torn(kafka: Any, data: Path, spec: LaneSpec, *changelogs: str, group: bool = False) -> AsyncIterator[Trial]:
    """A lane that has folded 30 records, of which Kafka has committed the last 20 in these changelogs, or in the group's offsets."""
    async with trial(kafka.bootstrap, partitions=1) as log:
        await alter(log.kafka, SIDE, {"cleanup.policy": "compact"})
        await log.produce((b"k", b"%d" % n) for n in range(10))
        async with working(log.kafka, data, SETTINGS, spec=spec):
            assert (await log.settled(30)).exact

        async def tear(writer: LaneWriter) -> None:
            parts = [TopicPartition(log.scoped(changelog), 0) for changelog in changelogs]
            parts += [await offsets_partition(log.kafka, log.scoped(GROUP))] if group else []
            await commit_in_part(log.kafka, writer._producer, *parts)

        await log.produce((b"k", b"%d" % n) for n in range(10, 30))
        left: list[int] = []
        worker = tearing(tear)(
            GROUP, [spec], log.kafka, SETTINGS, CollectorRegistry(), ProcessSettings(data_dir=data), leave=left.append
        )
        running = asyncio.create_task(worker.run())
        await until(lambda: left, 30)
        worker.stop()
        await running
        assert left == [EXIT_FAIL_STOP]
        committed = (await bounds(log.kafka, GROUP, SOURCE, 0)).committed
        assert committed is not None
        assert committed.position.offset == (30 if group else 10)
        yield log


def tearing(tear: Callable[[LaneWriter], Coroutine[Any, Any, None]]) -> type[Worker]:
    class Tearing(LaneWriter):
        async def _commit(self) -> None:
            await tear(self)
            raise RuntimeError("torn")

    class TearingWorker(Worker):
        def writer(self, spec: LaneSpec, partition: int) -> LaneWriter:
            return Tearing(
                self.kafka, self.name, spec, partition, limits=self.limits, partitions=self.partitions, timeout_s=15.0
            )

    return TearingWorker


def told(registry: CollectorRegistry) -> float | None:
    labels = {"topic": SOURCE, "partition": "0"}
    return registry.get_sample_value("tidemark_engine_torn_transactions_total", labels)


async def test_a_group_that_is_ahead_by_a_torn_transaction_is_not_believed_and_nothing_is_lost_or_doubled(
    kafka: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = CollectorRegistry()
    async with (
        torn(kafka, tmp_path, TWO_STORES, group=True) as log,
        working(log.kafka, tmp_path, SETTINGS, registry, spec=TWO_STORES) as worker,
    ):
        with caplog.at_level(logging.WARNING):
            verdict = await log.settled(30)
            assert verdict.exact, verdict
        assert worker.ready
        await log.produce([(b"k", b"more")])
        assert (await log.settled(30)).exact

    assert told(registry) == 1
    [record] = [record for record in caplog.records if record.message == "transaction_torn"]
    assert (vars(record)["changelog"], vars(record)["group"]) == (10, 30)


async def test_changelogs_that_are_ahead_of_the_group_are_believed_and_it_is_told(kafka: Any, tmp_path: Path) -> None:
    """The state is whole; what was written beside it is not: the lane cannot tell, and says so."""
    registry = CollectorRegistry()
    async with (
        torn(kafka, tmp_path, TWO_STORES, CHANGELOG, SIDE) as log,
        working(log.kafka, tmp_path, SETTINGS, registry, spec=TWO_STORES) as worker,
    ):
        await until(lambda: worker.ready, 30)
        await log.produce((b"k", b"%d" % n) for n in range(30, 40))
        await until(lambda: log.read(OUT), 30)
        verdict = await log.settled(2)

    assert verdict.counted == 40
    assert sorted(verdict.missing) == [b"k:20", b"k:30"]
    assert told(registry) == 1


@pytest.mark.parametrize("changelog", [CHANGELOG, SIDE])
async def test_a_lane_whose_changelogs_are_apart_folds_nothing_over_them(
    kafka: Any, tmp_path: Path, changelog: str
) -> None:
    async with (
        torn(kafka, tmp_path, TWO_STORES, changelog) as log,
        working(log.kafka, tmp_path, SETTINGS, spec=TWO_STORES) as worker,
    ):
        await until(lambda: "are apart" in str(worker.not_ready()), 30, lambda: str(worker.not_ready()))

        assert f"{changelog} ends at 30" in str(worker.not_ready())
        assert {r.value for r in await log.read(OUT)} == {b"k:10"}
