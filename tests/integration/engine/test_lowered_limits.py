"""Somebody changes a topic's settings so that lanes cannot rightly work on it: a worker that starts says so, and folds nothing."""

from __future__ import annotations

from typing import NoReturn

import pytest
from prometheus_client import CollectorRegistry

from schemas.topics import SCORER_USAGE_EVENTS_STATE, USAGE_EVENTS
from services.shared.engine.kafka.cluster import learn
from services.shared.engine.kafka.topic_watch import TopicWatch
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.errors import Misfit
from services.shared.kafka.settings import KafkaSettings
from tests.support.topic_settings import alter

pytestmark = pytest.mark.integration

SOURCE, CHANGELOG, OUTPUT = "account-health", "alerter-account-health-state", "risk-signals"


def nothing_is_folded(*_: object) -> NoReturn:
    raise AssertionError


SPEC = LaneSpec(
    SOURCE, SourceMode.TRANSACTIONAL, {"state": CHANGELOG}, nothing_is_folded, nothing_is_folded, outputs=(OUTPUT,)
)


LOG = LaneSpec(
    USAGE_EVENTS, SourceMode.CONTIGUOUS, {"state": SCORER_USAGE_EVENTS_STATE}, nothing_is_folded, nothing_is_folded
)


async def lower(kafka: KafkaSettings, topic: str) -> None:
    await alter(kafka, topic, {"max.message.bytes": "600"})


@pytest.mark.parametrize("topic", [CHANGELOG, OUTPUT])
async def test_a_topic_that_takes_less_than_its_record_says_is_refused(
    topic: str, kafka_settings: KafkaSettings
) -> None:
    await learn(kafka_settings, [SPEC])
    await lower(kafka_settings, topic)

    with pytest.raises(Misfit, match=f"{topic} has max.message.bytes=600, its record says [0-9]+: set it back"):
        await learn(kafka_settings, [SPEC])


async def test_a_topic_that_is_only_read_may_take_less(kafka_settings: KafkaSettings) -> None:
    await lower(kafka_settings, SOURCE)

    assert SOURCE in (await learn(kafka_settings, [SPEC])).partitions


@pytest.mark.parametrize("setting", ["cleanup.policy=compact", "message.timestamp.type=CreateTime"])
async def test_a_log_that_is_compacted_or_has_the_times_of_its_writers_is_refused(
    setting: str, kafka_settings: KafkaSettings
) -> None:
    await learn(kafka_settings, [LOG])
    name, _, value = setting.partition("=")
    await alter(kafka_settings, USAGE_EVENTS, {name: value})

    with pytest.raises(Misfit, match=f"{USAGE_EVENTS} has {setting}: .*with kafka-configs"):
        await learn(kafka_settings, [LOG])


async def test_settings_that_do_harm_while_nothing_fails_are_told_by_topic(kafka_settings: KafkaSettings) -> None:
    registry = CollectorRegistry()
    watch = TopicWatch(kafka_settings, [LOG, SPEC], EngineMetrics(registry), lambda *_: None)

    def told(topic: str, what: str) -> float | None:
        return registry.get_sample_value("tidemark_engine_topic_changed", {"topic": topic, "what": what})

    every = {(topic, what): 0 for topic in (USAGE_EVENTS, OUTPUT) for what in ("policy", "retention", "append_time")}
    await watch.look()
    assert {each: told(*each) for each in every} == every

    await alter(kafka_settings, USAGE_EVENTS, {"retention.ms": "3600000", "message.timestamp.type": "CreateTime"})
    await alter(kafka_settings, OUTPUT, {"retention.bytes": "1048576"})
    await watch.look()

    expected = every | dict.fromkeys(
        [(USAGE_EVENTS, "retention"), (USAGE_EVENTS, "append_time"), (OUTPUT, "retention")], 1
    )
    assert {each: told(*each) for each in every} == expected
