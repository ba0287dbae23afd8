"""Which settings of a topic do harm, and which are only different."""

from __future__ import annotations

import pytest

from schemas.topics import SCORER_USAGE_EVENTS_STATE, TOPICS, USAGE_EVENTS
from services.shared.kafka.topic_configs import drift

HARMLESS = dict.fromkeys(["policy", "retention", "append_time"], False)


@pytest.mark.parametrize(
    ("topic", "settings", "harm"),
    [
        (USAGE_EVENTS, {}, []),
        (USAGE_EVENTS, {"retention.ms": "-1"}, []),
        (USAGE_EVENTS, {"retention.ms": "99999999999"}, []),
        (USAGE_EVENTS, {"retention.ms": "86400000"}, ["retention"]),
        (USAGE_EVENTS, {"retention.bytes": "1"}, ["retention"]),
        (USAGE_EVENTS, {"cleanup.policy": "compact,delete"}, ["policy"]),
        (USAGE_EVENTS, {"message.timestamp.type": "CreateTime"}, ["append_time"]),
        (SCORER_USAGE_EVENTS_STATE, {}, []),
        (SCORER_USAGE_EVENTS_STATE, {"retention.ms": "1"}, []),
        (SCORER_USAGE_EVENTS_STATE, {"cleanup.policy": "delete"}, ["policy"]),
    ],
)
def test_a_setting_that_deletes_too_early_or_changes_the_times_does_harm(
    topic: str, settings: dict[str, str], harm: list[str]
) -> None:
    there = TOPICS[topic].kafka_config | settings

    assert drift(TOPICS[topic], there) == HARMLESS | dict.fromkeys(harm, True)
