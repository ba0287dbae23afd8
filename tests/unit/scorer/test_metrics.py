"""What a scorer tells of its lanes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from services.scorer.lanes import usage_lanes
from services.scorer.metrics import ScorerMetrics
from services.scorer.settings import ScorerSettings, load_scoring


def test_a_lane_that_leaves_takes_its_gauges_along_and_no_others() -> None:
    """Log time that stands still would be taken for a lane that does."""
    registry = CollectorRegistry()
    metrics = ScorerMetrics(registry)
    spec = usage_lanes(2, *load_scoring(ScorerSettings()), metrics=metrics)
    of_lanes = {
        name
        for name, gauge in vars(metrics).items()
        if isinstance(gauge, Gauge) and gauge._labelnames == ("partition",)
    }
    assert "log_time" in of_lanes
    for name in of_lanes:
        for partition in "01":
            getattr(metrics, name).labels(partition).set(7)
    metrics.accounts_cap.set(1)

    assert spec.closed is not None
    spec.closed(0)

    left = [s for m in registry.collect() for s in m.samples if "partition" in s.labels]
    assert {s.labels["partition"] for s in left} == {"1"}
    assert len(left) == len(of_lanes)
    assert registry.get_sample_value("tidemark_scorer_accounts_cap") == 1
    spec.closed(0)  # once more is nothing
