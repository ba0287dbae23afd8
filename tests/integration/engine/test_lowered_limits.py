"""Somebody lowers max.message.bytes of a topic that lanes write: a worker that starts says so, and folds nothing."""

from __future__ import annotations

from typing import NoReturn

import pytest

from services.shared.engine.kafka.cluster import learn
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
