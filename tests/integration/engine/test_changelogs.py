"""A changelog that was deleted and recreated, or cut: it has a position and little of the state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from prometheus_client import CollectorRegistry

from services.shared.engine.kafka import topic_watch
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.settings import EngineSettings
from services.shared.kafka.clients import admin
from tests.support.counting.in_process import working
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, OUT, SOURCE, Trial, trial
from tests.support.topic_settings import alter
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


SETTINGS = EngineSettings(session_timeout_s=3, heartbeat_s=0.3, transaction_ms=20)


async def test_the_next_start_does_not_go_on_with_what_is_left_of_the_state(kafka: Any, tmp_path: Path) -> None:
    async with trial(kafka.bootstrap, partitions=1) as log:
        await log.produce((b"k%d" % n, b"1") for n in range(10))
        async with working(log.kafka, tmp_path, SETTINGS):
            assert (await log.settled(30)).exact
            await log.recreate(CHANGELOG)
            await log.produce([(b"k0", b"1")])
            await until(lambda: log.read(CHANGELOG), 30)

        async with working(log.kafka, tmp_path, SETTINGS) as again:
            await until(lambda: "deleted and recreated" in str(again.not_ready()), 30, lambda: str(again.not_ready()))
            assert f"{SOURCE}/0: the changelogs" in str(again.not_ready())


async def test_a_changelog_whose_beginning_was_deleted_is_not_folded_over(kafka: Any, tmp_path: Path) -> None:
    """It has its position, at the end, and the topic is the same: only its first offset tells."""
    async with trial(kafka.bootstrap, partitions=1) as log:
        await log.produce((b"k%d" % n, b"1") for n in range(10))
        async with working(log.kafka, tmp_path, SETTINGS):
            assert (await log.settled(30)).exact
            await log.produce([(b"k0", b"1")])
            assert (await log.settled(30)).exact
        await cut(log)

        async with working(log.kafka, tmp_path, SETTINGS) as again:
            await until(
                lambda: "deleted from the beginning" in str(again.not_ready()), 30, lambda: str(again.not_ready())
            )
            assert f"{SOURCE}/0: " in str(again.not_ready())
            assert f"{CHANGELOG} begins at offset" in str(again.not_ready())


async def test_a_changelog_of_which_compaction_has_left_little_is_whole(kafka: Any, tmp_path: Path) -> None:
    async with trial(kafka.bootstrap, partitions=1) as log:
        await policy(log, "compact", **{"segment.ms": "1", "min.cleanable.dirty.ratio": "0.01"})
        async with working(log.kafka, tmp_path, SETTINGS):

            async def compacted() -> bool:
                await log.produce([(b"k", b"1")])
                assert (await log.settled(30)).exact
                return all(record.offset > 0 for record in await log.read(CHANGELOG))

            await until(compacted, 60)

        async with working(log.kafka, tmp_path, SETTINGS) as again:
            await log.produce([(b"k", b"1")])
            assert (await log.settled(30)).exact
            assert again.ready


async def test_a_worker_that_runs_tells_that_a_changelog_has_changed(
    kafka: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lanes go on: what they have in memory is whole."""
    monkeypatch.setattr(topic_watch, "_EVERY_S", 0.2)
    registry = CollectorRegistry()

    def told(what: str) -> float | None:
        labels = {"topic": CHANGELOG, "what": what}
        return registry.get_sample_value("tidemark_engine_topic_changed", labels)

    async with trial(kafka.bootstrap, partitions=1) as log, working(log.kafka, tmp_path, SETTINGS, registry) as worker:
        await until(lambda: worker.ready and (told("recreated"), told("policy")) == (0, 0), 30)

        await policy(log, "delete")
        await until(lambda: (told("recreated"), told("policy")) == (0, 1), 30)
        await policy(log, "compact")
        await until(lambda: told("policy") == 0, 30)
        assert told("cut") == 0
        await log.produce([(b"k", b"1")] * 3)
        assert (await log.settled(30)).exact
        await cut(log)
        await until(lambda: (told("recreated"), told("policy"), told("cut")) == (0, 0, 1), 30)
        await log.recreate(CHANGELOG)
        await until(lambda: told("recreated") == 1, 30)

        assert worker.ready


async def test_the_ids_of_sources_are_told_at_each_look(kafka: Any) -> None:
    told: list[tuple[str, bytes]] = []
    spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD)

    def note(topic: str, id_: bytes) -> None:
        told.append((topic, id_))

    async with trial(kafka.bootstrap, partitions=1) as log:
        watch = topic_watch.TopicWatch(log.kafka, [spec], EngineMetrics(CollectorRegistry()), note)
        for _ in range(2):
            await watch.look()
        await log.recreate(SOURCE)
        await watch.look()

    assert [topic for topic, _ in told] == [SOURCE] * 3
    (_, first), (_, second), (_, other) = told
    assert first == second != other


async def policy(log: Trial, value: str, **more: str) -> None:
    await alter(log.kafka, CHANGELOG, {"cleanup.policy": value, **more})


async def cut(log: Trial) -> None:
    """Delete the first record of the changelog: Kafka takes that while records of it may expire."""
    await policy(log, "delete")
    async with admin(log.kafka) as client:
        await client.delete_records({TopicPartition(log.scoped(CHANGELOG), 0): RecordsToDelete(before_offset=1)})
    await policy(log, "compact")
