"""The lane of the alerter over a log in memory: topics, keys, open signals, and what is dead-lettered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas import codec
from schemas.measures import name_of
from services.alerter.domain.closing import ForgottenAccount
from services.alerter.domain.folding import open_episodes as open_episodes_in
from services.alerter.domain.measures import Measures, measures_of
from services.alerter.domain.state_format import decode_state
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import AlerterProcessor, alerter_lanes
from services.alerter.rule_files import load_rules
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import MemoryRunner
from services.shared.units import DAY_MS
from tests.support.alerter import START_DAY, silent, snapshot

RULES = load_rules()
LOW: dict[str, Any] = {"detractors": 1, "lowest_answer": 2, "survey_responses": 1}
_encode = codec.encoder("account_health")
_encode_forgotten = codec.encoder("account_forgotten")


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

    def forget(self, account: str, day: int = 300, *, historical: bool = False) -> None:
        gone = {"account": account, "at": (START_DAY + day) * DAY_MS, "historical": historical}
        self.log.append("account-health", account.encode(), _encode_forgotten(gone))
        self.runner.run()

    def open_episodes(self) -> float:
        return sum(self.metric("tidemark_alerter_open_episodes", partition=str(p)) for p in range(2))

    def signals(self, topic: str) -> list[dict[str, Any]]:
        return [codec.decode(value)[1] for value in self.log.values(topic)]

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def alerter() -> Alerter:
    return Alerter()


def test_risk_and_expansion_go_to_their_topics_and_open_ones_are_kept_until_resolved(alerter: Alerter) -> None:
    growth: dict[str, Any] = {"level_4w": 1.8, "level_1w": 1.8, "active_users_28": 8}
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
        (b"other", _encode_forgotten({"account": "acme", "at": 1}), "wrong_key"),
        (b"acme", _encode_forgotten({"account": "acme", "at": 0}), "wrong_time"),
        (b"acme", b"", "undecodable"),
        (b"acme", _encode(snapshot())[:-1], "undecodable"),
        (b"acme", codec.encoder("tick")({"at": 1}), "wrong_record"),
        (b"other", _encode(snapshot()), "wrong_key"),
        (None, _encode(snapshot()), "wrong_key"),
        (b"acme", _encode(snapshot() | {"at": 0}), "wrong_time"),
    ],
)
def test_a_record_that_is_no_snapshot_is_dead_lettered_and_the_next_one_judged(
    alerter: Alerter, key: bytes | None, value: bytes | None, reason: str
) -> None:
    alerter.log.append("account-health", key, value, partition=0)
    alerter.tell(snapshot())

    letters = alerter.signals("dead-letters")
    assert [(letter["reason"], letter["by"]) for letter in letters] == [(reason, "alerter")]
    assert letters[0]["original"] == (value or b"")
    assert letters[0]["origin"].startswith("account-health/0/")
    assert alerter.metric("tidemark_alerter_snapshots_evaluated_total") == 1


@pytest.mark.parametrize("wild", [float("nan"), float("inf"), float("-inf"), 1e308])
def test_numbers_that_are_none_never_stop_a_partition(alerter: Alerter, wild: float) -> None:
    value = snapshot(detractors=1, usual_week=wild, level_4w=0.4, expected_4w=10.0, facts__revenue=wild)
    for index, number in enumerate(value["measures"]["numbers"]):
        if name_of(number) in {"usual_week", "revenue", "median_ticket_hours", "level_4w", "expected_4w"}:
            value["measures"]["values"][index] = wild
    for _ in range(3):
        alerter.tell(value)

    assert alerter.signals("dead-letters") == []
    assert [s["rule"] for s in alerter.signals("risk-signals")] == ["nps_detractor"]


def test_each_rule_in_force_begins_at_zero_at_each_severity_so_that_its_first_signals_are_an_increase() -> None:
    registry = CollectorRegistry()
    AlerterMetrics(registry).rules_in_force(RULES)

    begun = {
        (sample.labels["rule"], sample.labels["severity"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "tidemark_alerter_signals_total"
        if (sample.labels["transition"], sample.labels["historical"]) == ("firing", "false")
    }

    assert {rule for rule, _ in begun} == {rule.id for rule in RULES.ordered if rule.enabled}
    assert {("usage_decline", "info"), ("usage_decline", "warning")} <= begun.keys()
    assert set(begun.values()) == {0}


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


def test_a_forgotten_account_is_closed_and_leaves_nothing_behind(alerter: Alerter) -> None:
    alerter.tell(snapshot(0, account="globex", **LOW))
    for day in range(10):
        alerter.tell(snapshot(day, **LOW, **silent(day)))
    assert len(alerter.log.latest("open-signals")) == 3

    alerter.forget("acme", 270)

    assert {codec.decode(value)[1]["account"] for value in alerter.log.latest("open-signals").values()} == {"globex"}
    assert set(alerter.log.latest("alerter-account-health-state")) - {b"\0next"} == {b"globex"}
    closed = [s for s in alerter.signals("risk-signals") if s["resolved_reason"] == "forgotten"]
    assert [(s["rule"], s["transition"], s["transition_number"]) for s in closed] == [
        ("nps_detractor", "RESOLVED", 2),
        ("usage_silent", "RESOLVED", 2),
    ]
    assert {(s["at"], s["historical"]) for s in closed} == {((START_DAY + 270) * DAY_MS, False)}
    assert alerter.open_episodes() == 1
    assert alerter.metric("tidemark_alerter_accounts_forgotten_total") == 1
    assert alerter.signals("dead-letters") == []


def test_the_end_of_a_forgotten_account_blames_no_silence_that_there_may_not_have_been(alerter: Alerter) -> None:
    """An account that was merged or erased ends in the midst of its use, and the record of its end does not say which it was."""
    alerter.tell(snapshot(0, **LOW))
    alerter.forget("acme", 1)

    (*_, closed) = alerter.signals("risk-signals")

    assert closed["resolved_reason"] == "forgotten"
    assert "nothing was heard of it for long, or it was merged into another one or erased" in closed["summary"]


def test_what_is_closed_since_a_backfill_had_the_account_forgotten_is_historical(alerter: Alerter) -> None:
    alerter.tell(snapshot(0, **LOW))
    alerter.forget("acme", historical=True)

    assert [s["historical"] for s in alerter.signals("risk-signals")] == [False, True]


def test_an_account_that_is_not_known_is_forgotten_without_a_word(alerter: Alerter) -> None:
    alerter.forget("nobody")

    assert alerter.signals("risk-signals") == []
    assert alerter.metric("tidemark_alerter_accounts_forgotten_total") == 1


def test_an_account_that_comes_back_after_it_was_forgotten_starts_anew(alerter: Alerter) -> None:
    alerter.tell(snapshot(0, **LOW))
    alerter.forget("acme")
    alerter.tell(snapshot(1, **LOW))  # no cooldown: nothing is remembered

    told = [(s["transition"], s["resolved_reason"]) for s in alerter.signals("risk-signals")]
    assert told == [("FIRING", ""), ("RESOLVED", "forgotten"), ("FIRING", "")]
    assert len({s["signal_id"] for s in alerter.signals("risk-signals")}) == 3


def test_nobody_waits_for_what_is_said_of_a_forgotten_account() -> None:
    processor = AlerterProcessor(RULES, AlerterMetrics(CollectorRegistry()), 0)
    urgent = []
    items: list[dict[str, Any] | ForgottenAccount] = [
        snapshot(0, **LOW),
        ForgottenAccount("acme", 2 * DAY_MS, historical=False),
    ]
    for offset, item in enumerate(items):
        processor.fold(offset, item, 0)
        urgent.append(processor.urgent)
        assert len(processor.take_outputs()) == 2

    assert urgent == [True, False]


def test_an_account_on_which_a_rule_raises_stops_neither_the_others_nor_its_lane(
    alerter: Alerter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_on_one(value: Mapping[str, Any]) -> Measures:
        if value["account"] == "bad":
            raise ZeroDivisionError("by its own seats")
        return measures_of(value)

    names = [f"account-{n}" for n in range(20)]
    alerter.tell(snapshot(0, account="bad", **LOW))
    processors = [alerter.runner.processor("account-health", partition) for partition in range(2)]
    monkeypatch.setattr("services.alerter.domain.folding.measures_of", fails_on_one)
    for day in range(1, 4):
        for name in [*names, "bad"]:
            alerter.tell(snapshot(day, account=name, **LOW))

    letters = alerter.signals("dead-letters")
    assert [(x["account"], x["reason"], x["detail"]) for x in letters] == [
        ("bad", "cannot_be_judged", "ZeroDivisionError: by its own seats")
    ] * 3
    assert {s["account"] for s in alerter.signals("risk-signals")} == {*names, "bad"}
    assert alerter.metric("tidemark_alerter_snapshots_failed_total") == 3
    assert [alerter.runner.processor("account-health", partition) for partition in range(2)] == processors, (
        "nothing was restored"
    )

    monkeypatch.undo()
    alerter.tell(snapshot(4, account="bad"))

    last = [s for s in alerter.signals("risk-signals") if s["account"] == "bad"][-1]
    assert (last["resolved_reason"], last["transition_number"]) == ("recovered", 2)


EVERYTHING: dict[str, Any] = {
    **LOW, "level_4w": 0.2, "level_2w": 0.2, "level_1w": 0.2, "active_users_28": 1, "tickets_open": 5,
    "oldest_opened_at": 1, "facts__renewal_day": START_DAY + 60, "band": "RED", "score_tenths": 200,
    "facts__seats": 1,
}  # fmt: skip
"""A day on which every rule about risks has something to say, and one about seats."""


@pytest.mark.parametrize(
    ("days", "open_episodes", "state_bytes", "output_bytes"),
    [
        ([{}] * 20, 0, 0, 0),
        ([LOW] * 5, 1, 44, 2_000),
        ([silent(n) for n in range(30)], 1, 180, 4_000),
        ([EVERYTHING] * 20, 5, 400, 12_000),
    ],
)
def test_an_account_costs_nothing_while_it_is_quiet_and_few_bytes_when_it_is_not(
    days: list[dict[str, Any]], open_episodes: int, state_bytes: int, output_bytes: int
) -> None:
    processor = AlerterProcessor(RULES, AlerterMetrics(CollectorRegistry()), 0)
    state = b""
    for day, changes in enumerate(days):
        processor.fold(day, snapshot(day, **changes), 0)
        counted = processor.changed_bytes
        outputs, changed = processor.take_outputs(), list(processor.take_changes())
        sent = sum(len(output.key) + len(output.value or b"") for output in outputs)
        state = next((change.value or b"" for change in changed), state)
        assert counted == sent + sum(len(change.key) + len(change.value or b"") for change in changed)
        assert processor.changed_bytes == 0
        assert sent <= output_bytes
    assert len(state) <= state_bytes
    assert (open_episodes_in(decode_state(state)) if state else 0) == open_episodes
