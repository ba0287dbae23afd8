"""The lane of the alerter over a log in memory: topics, keys, open signals, and what is put aside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas import codec
from services.alerter.core import alerter_lanes
from services.alerter.metrics import AlerterMetrics
from services.alerter.rule_files import load_rules
from services.alerter.testing import silent, snapshot
from services.shared.engine.memory import MemoryLog, MemoryRunner

RULES = load_rules()
LOW: dict[str, Any] = {"sentiment__detractors_90": 1, "sentiment__lowest_score_90": 2, "sentiment__responses": 1}
_encode = codec.encoder("account_health")


class Alerter:
    """The alerter's lanes on a log in memory, with its metrics."""

    def __init__(self) -> None:
        self.log = MemoryLog(partitions=2)
        self.registry = CollectorRegistry()
        self.now = 0.0
        metrics = AlerterMetrics(self.registry, now=lambda: self.now)
        self.runner = MemoryRunner(self.log, [alerter_lanes(RULES, metrics)])

    def tell(self, value: Mapping[str, Any]) -> None:
        self.log.append("account-health", value["account"].encode(), _encode(value))
        self.runner.run()

    def signals(self, topic: str) -> list[dict[str, Any]]:
        return [codec.decode(value)[1] for value in self.log.values(topic)]

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def alerter() -> Alerter:
    return Alerter()


def test_risk_and_expansion_go_to_their_topics_and_open_ones_are_kept_until_resolved(alerter: Alerter) -> None:
    growth: dict[str, Any] = {"level_4w": 1.8, "level_1w": 1.8, "usage__active_users_28": 8}
    for day in range(15):
        alerter.tell(snapshot(day, **growth))
        alerter.tell(snapshot(day, account="globex", **silent(day)))

    risks, expansions = alerter.signals("risk-signals"), alerter.signals("expansion-signals")
    assert {s["account"] for s in risks} == {"globex"}
    assert {s["account"] for s in expansions} == {"acme"}
    latest = alerter.log.latest("open-signals")
    assert {key.decode().rsplit(":", 1)[0] for key in latest} == {"globex:usage_silent", "acme:usage_growth"}
    assert all(codec.decode(value)[1]["episode_id"].encode() == key for key, value in latest.items())

    for day in range(15, 30):
        alerter.tell(snapshot(day))
        alerter.tell(snapshot(day, account="globex"))

    assert alerter.log.latest("open-signals") == {}
    assert [s["transition"] for s in alerter.signals("expansion-signals")] == ["FIRING", "RESOLVED"]


def test_records_of_signals_are_keyed_by_account(alerter: Alerter) -> None:
    for day in range(10):
        alerter.tell(snapshot(day, account="globex", **silent(day)))

    assert {record.key for record in alerter.log.records("risk-signals")} == {b"globex"}


def test_a_quiet_account_has_no_state_and_a_former_risk_gives_its_state_back(alerter: Alerter) -> None:
    alerter.tell(snapshot(0))
    assert b"acme" not in alerter.log.latest("alerter-account-health-state")

    alerter.tell(snapshot(1, **LOW))
    assert b"acme" in alerter.log.latest("alerter-account-health-state")

    alerter.tell(snapshot(2))
    alerter.tell(snapshot(40))
    assert b"acme" not in alerter.log.latest("alerter-account-health-state")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"acme", None, "no_value"),
        (b"acme", b"", "undecodable"),
        (b"acme", _encode(snapshot())[:-1], "undecodable"),
        (b"acme", codec.encoder("tick")({"at": 1}), "wrong_record"),
        (b"other", _encode(snapshot()), "wrong_key"),
        (None, _encode(snapshot()), "wrong_key"),
        (b"acme", _encode(snapshot() | {"at": 0}), "wrong_time"),
    ],
)
def test_a_record_that_is_no_snapshot_is_put_aside_and_the_next_one_judged(
    alerter: Alerter, key: bytes | None, value: bytes | None, reason: str
) -> None:
    alerter.log.append("account-health", key, value, partition=0)
    alerter.tell(snapshot())

    letters = alerter.signals("usage-rejected")
    assert [(letter["reason"], letter["by"]) for letter in letters] == [(reason, "alerter")]
    assert letters[0]["original"] == (value or b"")
    assert letters[0]["origin"].startswith("account-health/0/")
    assert alerter.metric("tidemark_alerter_snapshots_evaluated_total") == 1


@pytest.mark.parametrize("wild", [float("nan"), float("inf"), float("-inf"), 1e308])
def test_numbers_that_are_none_never_stop_a_partition(alerter: Alerter, wild: float) -> None:
    value = snapshot(
        sentiment__detractors_90=1, usage__usual_week=wild, level_4w=0.4, expected_4w=10.0, facts__revenue=wild
    )
    value["support"] |= {"open": 3, "oldest_opened_at": 1, "median_age_hours": wild}
    for window in value["usage"]["windows"]:
        window |= {"expected": wild, "ratio": wild, "p_low": wild}
    for _ in range(3):
        alerter.tell(value)

    assert alerter.signals("usage-rejected") == []
    assert [s["rule"] for s in alerter.signals("risk-signals")] == ["nps_detractor"]


def test_metrics_say_what_fired_what_is_open_and_how_long_it_took(alerter: Alerter) -> None:
    alerter.now = 1_002.5
    alerter.tell(snapshot(0, trigger_received_at=1_000_000, **LOW))
    labels = {"rule": "nps_detractor", "category": "risk", "severity": "warning", "historical": "false"}

    assert alerter.metric("tidemark_alerter_signals_total", transition="firing", **labels) == 1
    assert alerter.metric("tidemark_alerter_event_to_signal_seconds_sum") == 2.5
    partitions = [alerter.metric("tidemark_alerter_open_episodes", partition=str(p)) for p in range(2)]
    assert sorted(partitions) == [0, 1]

    alerter.tell(snapshot(1, trigger_received_at=1_000_000, historical=True))
    assert alerter.metric("tidemark_alerter_event_to_signal_seconds_count") == 1
    assert sum(alerter.metric("tidemark_alerter_open_episodes", partition=str(p)) for p in range(2)) == 0


def test_open_episodes_are_counted_again_after_a_restart(alerter: Alerter) -> None:
    alerter.tell(snapshot(0, **LOW))
    alerter.runner.crash()
    alerter.tell(snapshot(1, **LOW))

    assert sum(alerter.metric("tidemark_alerter_open_episodes", partition=str(p)) for p in range(2)) == 1
    assert len(alerter.signals("risk-signals")) == 1
