"""What a lane tells of itself: how far it is behind."""

from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry

from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.metrics import EngineMetrics


def test_what_comes_after_an_idle_hour_has_not_waited_for_an_hour() -> None:
    registry = CollectorRegistry()
    metrics = LaneMetrics(EngineMetrics(registry), "account-health", 0)
    opened = time.time()
    hour = opened + 3_600

    def seconds(records: int, now: float) -> float | None:
        metrics.lag(records, 0, now)
        found = registry.get_sample_value("tidemark_engine_lag_seconds", {"topic": "account-health", "partition": "0"})
        return None if found is None else round(found)

    assert seconds(3, opened + 60) == 60
    assert seconds(0, hour) == 0
    assert seconds(1, hour + 1) == 1
    assert seconds(1, hour + 30) == 30

    metrics.folded_until(hour + 25)
    assert seconds(1, hour + 31) == 6


def test_a_clock_that_was_set_back_hides_no_lag() -> None:
    registry = CollectorRegistry()
    metrics = LaneMetrics(EngineMetrics(registry), "account-health", 0)
    right = time.time()

    metrics.lag(0, 0, right + 3_600)
    metrics.lag(0, 0, right)
    metrics.lag(1, 0, right + 90)

    assert registry.get_sample_value(
        "tidemark_engine_lag_seconds", {"topic": "account-health", "partition": "0"}
    ) == pytest.approx(90)
