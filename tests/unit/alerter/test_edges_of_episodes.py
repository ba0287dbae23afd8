"""What happens at the very moment at which an episode, a cooldown or a length of time ends."""

from __future__ import annotations

from typing import Any

import pytest

from services.alerter.domain.durations import parse_duration, reached
from services.alerter.domain.folding import fold_snapshot, open_measures
from services.alerter.domain.rule_reading import read_rule
from services.alerter.domain.rules import Category, RuleSet, Severity, rule_set
from services.alerter.domain.stages.inhibit import inhibit, inhibitor_of
from services.alerter.domain.state_format import RuleState
from services.shared.units import DAY_MS, HOUR_MS, MINUTE_MS
from tests.support.alerter import shipped, snapshot

NOW = 20_001 * DAY_MS


def answers(**members: Any) -> RuleSet:
    """Return a rule that fires at one low answer and is critical from the second on, without any waiting."""
    second = {"severity": "critical", "when": {"measure": "detractors", "at_least": 2}}
    return rule_set([read_rule(shipped("nps_detractor") | {"escalate": [second]} | members)])


def said(rules: RuleSet, *low_answers: tuple[int, int]) -> list[tuple[int, str, str]]:
    """Fold a snapshot for each pair of a time after NOW and a number of low answers; return when what was said."""
    state, told = None, []
    for after, count in low_answers:
        folded = fold_snapshot(rules, state, snapshot(at=NOW + after, detractors=count))
        state = folded.state
        told += [(s["at"] - NOW, s["transition"], s["resolved_reason"] or s["severity"]) for s in folded.signals]
    return told


def test_a_signal_says_what_was_known_of_its_account_when_it_was_sent() -> None:
    known = snapshot(at=NOW, detractors=1, stage="RENEWAL", band="YELLOW", score_tenths=612, facts__owner="mia")

    (sent,) = fold_snapshot(answers(), None, known).signals

    assert [sent[name] for name in ("stage", "band", "score_tenths", "health_sequence", "owner", "historical")] == [
        *(known[name] for name in ("stage", "band", "score_tenths", "sequence")),
        "mia",
        known["historical"],
    ]
    assert (sent["episode_id"], sent["signal_id"]) == (f"acme:nps_detractor:{NOW}", f"acme:nps_detractor:{NOW}:1")


def test_no_episode_begins_at_the_moment_at_which_the_last_one_ended() -> None:
    told = said(answers(), (0, 1), (DAY_MS, 0), (DAY_MS, 2), (DAY_MS + 1, 2))

    assert told == [(0, "FIRING", "WARNING"), (DAY_MS, "RESOLVED", "recovered"), (DAY_MS + 1, "FIRING", "CRITICAL")]


def test_a_cooldown_is_over_after_exactly_its_length() -> None:
    told = said(answers(cooldown="2d"), (0, 1), (1, 0), (2 * DAY_MS, 1), (2 * DAY_MS + 1, 1))

    assert told[2:] == [(2 * DAY_MS + 1, "FIRING", "WARNING")]


def test_an_open_episode_expires_after_exactly_its_length() -> None:
    told = said(answers(expires="2d"), (0, 1), (2 * DAY_MS - 1, 1), (2 * DAY_MS, 1))

    assert told == [(0, "FIRING", "WARNING"), (2 * DAY_MS, "RESOLVED", "expired")]


def test_what_has_expired_fires_again_only_once_its_cause_was_gone_and_has_come_back() -> None:
    days = ((0, 1), (2, 1), (4, 2), (5, 0), (6, 1), (8, 0), (9, 1))
    told = said(answers(expires="2d", cooldown="1d"), *((day * DAY_MS, count) for day, count in days))

    assert [(after // DAY_MS, *what) for after, *what in told] == [
        (0, "FIRING", "WARNING"),
        (2, "RESOLVED", "expired"),
        (6, "FIRING", "WARNING"),
        (8, "RESOLVED", "recovered"),
        (9, "FIRING", "WARNING"),
    ]


def test_a_rule_that_gives_way_to_its_own_category_does_not_give_way_to_itself() -> None:
    after_any_risk = {"categories": ["risk"], "after": "20d"}
    rules = answers(inhibited_by=after_any_risk, cooldown="1d")

    told = said(rules, (0, 1), (DAY_MS, 1), (2 * DAY_MS, 0), (3 * DAY_MS, 1))

    assert told == [
        (0, "FIRING", "WARNING"),
        (2 * DAY_MS, "RESOLVED", "recovered"),
        (3 * DAY_MS, "FIRING", "WARNING"),
    ]


def test_a_risk_that_is_only_shown_keeps_no_other_category_back() -> None:
    growth = read_rule(shipped("usage_growth") | {"inhibited_by": {"categories": ["risk"]}})
    shown, warned = (RuleState(started_at=NOW, severity=severity, category=Category.RISK) for severity in (1, 2))

    assert inhibitor_of(growth, {"usage_decline": shown}) is None
    assert inhibitor_of(growth, {"usage_decline": warned}) == "usage_decline"


def test_what_was_kept_back_stays_quiet_for_a_while_though_the_other_rule_is_gone_since() -> None:
    growth = read_rule(shipped("usage_growth") | {"inhibited_by": {"categories": ["risk"], "after": "2d"}})
    state = RuleState()

    assert inhibit(growth, state, {}, "usage_decline", NOW)
    assert inhibit(growth, state, {}, None, NOW + 2 * DAY_MS - 1)
    assert not inhibit(growth, state, {}, None, NOW + 2 * DAY_MS)
    assert state == RuleState()


def test_a_rule_that_may_fire_at_once_after_another_notes_nothing_while_it_is_kept_back() -> None:
    growth = read_rule(shipped("usage_growth") | {"inhibited_by": {"categories": ["risk"]}})
    state = RuleState()

    assert inhibit(growth, state, {}, "usage_decline", NOW)
    assert state == RuleState()


def test_a_rule_sees_the_open_risks_of_the_other_rules_alone() -> None:
    def open_of(category: Category, severity: Severity) -> RuleState:
        return RuleState(started_at=NOW, category=category, severity=severity)

    states = {
        "itself": open_of(Category.RISK, Severity.CRITICAL),
        "critical": open_of(Category.RISK, Severity.CRITICAL),
        "warned": open_of(Category.RISK, Severity.WARNING),
        "only shown": open_of(Category.RISK, Severity.INFO),
        "a chance": open_of(Category.EXPANSION, Severity.CRITICAL),
        "over": RuleState(resolved_at=NOW, category=Category.RISK, severity=Severity.CRITICAL),
    }

    assert open_measures(states, "itself") == {"open_risks": 2, "open_critical": 1}


@pytest.mark.parametrize(
    ("elapsed_ms", "length", "met"),
    [
        (DAY_MS - 3 * HOUR_MS, "1d", True),
        (DAY_MS - 3 * HOUR_MS - 1, "1d", False),
        (DAY_MS - 3 * HOUR_MS, "24h", True),
        (23 * HOUR_MS - 1, "23h", False),
        (23 * HOUR_MS, "23h", True),
        (90 * MINUTE_MS - 1, "90m", False),
        (90 * MINUTE_MS, "90m", True),
    ],
)
def test_only_lengths_of_a_day_and_more_are_met_up_to_three_hours_before(
    elapsed_ms: int, length: str, met: bool
) -> None:
    assert reached(elapsed_ms, parse_duration(length)) is met
