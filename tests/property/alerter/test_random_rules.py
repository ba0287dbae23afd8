"""Whatever the rules say and the snapshots are, each signal is one that docs/signals.md allows, and none is missing at the end."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.alerter.domain.conditions import Comparison, Condition, holds
from services.alerter.domain.durations import EARLY_MS
from services.alerter.domain.folding import fold_snapshot
from services.alerter.domain.measures import Measures, measures_of
from services.alerter.domain.rules import (
    Category,
    Clearing,
    Escalation,
    EvidenceItem,
    Inhibition,
    Rule,
    RuleProblems,
    RuleSet,
    Severity,
    Text,
    rule_set,
)
from services.alerter.domain.stages.inhibit import inhibitor_of
from services.alerter.domain.state_format import AccountState, decode_state, encode_state
from services.shared.units import DAY_MS, HOUR_MS
from tests.support.alerter import START_DAY, snapshot
from tests.support.examples import examples

NAMES = ("aaa", "bbb", "ccc", "ddd")
TEXT = Text("It fell", "Use is at {level_4w}.", "Call them.")
START_MS = (START_DAY + 1) * DAY_MS

levels = st.sampled_from([0.1, 0.25, 0.35, 0.45, 0.6, 0.8, 1.0])
windows = st.sampled_from(["level_1w", "level_2w", "level_4w"])
low = st.builds(Condition, windows, st.just(Comparison.BELOW), st.sampled_from([0.3, 0.5, 0.7]))
high = st.builds(Condition, windows, st.just(Comparison.ABOVE), st.sampled_from([0.3, 0.5, 0.7, 0.9]))
dip = Condition("fleet_level", Comparison.BELOW, 0.75)
small = Condition("usual_week", Comparison.BELOW, 3.0)


def days(*numbers: float) -> st.SearchStrategy[int]:
    return st.sampled_from([round(number * DAY_MS) for number in numbers])


@st.composite
def rules(draw: st.DrawFn) -> RuleSet:
    """Draw rules, each of which may be kept back by those drawn before it."""
    found: list[Rule] = []
    for name in draw(st.permutations(NAMES))[: draw(st.integers(1, len(NAMES)))]:
        category, severity = draw(st.sampled_from(Category)), draw(st.sampled_from([Severity.INFO, Severity.WARNING]))
        by_risk = [Category.RISK] if category is Category.EXPANSION else []
        steps = st.builds(Escalation, st.just(Severity.CRITICAL), low, days(0, 1, 3), st.just(TEXT))
        before = [rule.id for rule in found]
        found.append(
            Rule(
                id=name,
                category=category,
                severity=severity,
                enabled=draw(st.sampled_from([True] * 9 + [False])),
                fires=draw(low),
                for_ms=draw(days(0, 0.5, 1, 2)),
                unless=draw(st.sampled_from([(), (small,)])),
                hold=draw(st.sampled_from([(), (dip,)])),
                escalations=tuple(draw(st.lists(steps, max_size=2))),
                clear=draw(st.builds(Clearing, high, days(0, 1, 4))),
                cooldown_ms=draw(days(1, 3, 28)),
                expires_ms=draw(days(5, 20, 180)),
                inhibited_by=Inhibition(
                    frozenset(draw(st.sets(st.sampled_from(before), max_size=2)) if before else ()),
                    frozenset(draw(st.sampled_from([[], by_risk]))),
                    draw(days(0, 3, 14)),
                ),
                text=TEXT,
                recovered="It is back.",
                evidence=(EvidenceItem("level_4w"),),
            )
        )
    try:
        return rule_set(found)
    except RuleProblems:  # a ring
        assume(False)
        raise


moods = st.fixed_dictionaries(
    {
        "level_1w": levels,
        "level_2w": levels,
        "level_4w": levels,
        "fleet_level": st.sampled_from([1.0, 1.0, 0.5]),
        "usual_week": st.sampled_from([10.0, 10.0, 2.0]),
    }
)
pasts = st.lists(
    st.tuples(moods, st.lists(st.sampled_from([0, 1, 12, 21, 24, 24, 24, 168]), min_size=1, max_size=8)),
    min_size=1,
    max_size=12,
)
"""Stretches of equal snapshots, with the hours before each."""


class Promises:
    """What is promised of one account's signals, by the rules that do not change and what was said so far."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._ids: set[str] = set()
        self._wanted_since: dict[str, int] = {}
        self._opened: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self._severity: dict[str, int] = {}
        self._stays_quiet: dict[str, bool] = {}

    def check(self, at: int, measures: Measures, signals: tuple[dict[str, Any], ...], after: AccountState) -> None:
        """Check what one snapshot led to."""
        by_rule = defaultdict(list)
        for signal in signals:
            assert signal["signal_id"] not in self._ids
            self._ids.add(signal["signal_id"])
            by_rule[signal["rule"]].append(signal)
        for rule in self._rules.ordered:
            said = by_rule.pop(rule.id, [])
            assert len(said) <= 1
            self._check_rule(rule, at, measures, said, after)
        assert not by_rule
        assert set(self._opened) == {name for name, state in after.items() if state.open}

    def _check_rule(
        self, rule: Rule, at: int, measures: Measures, said: list[dict[str, Any]], after: AccountState
    ) -> None:
        name, fires = rule.id, rule.enabled and holds(rule.fires, measures)
        held = any(holds(node, measures) for node in rule.hold)
        wants = fires and not held and not any(holds(node, measures) for node in rule.unless)
        self._wanted_since[name] = (self._wanted_since.get(name) or at) if wants else 0
        if not fires and not held:
            self._stays_quiet[name] = False
        for signal in said:
            severity = int(Severity[signal["severity"]])
            if signal["transition"] == "FIRING":
                assert wants
                self._may_fire(rule, at, severity, after)
                self._opened[name] = at
            elif signal["transition"] == "UPDATED":
                assert fires
                assert not held
                assert severity > self._severity[name]
            else:
                self._may_end(rule, at, signal["resolved_reason"], measures, held=held)
                self._stays_quiet[name] = signal["resolved_reason"] == "expired" and (fires or held)
                self._ended[name], self._wanted_since[name] = at, 0
                del self._opened[name]
            self._severity[name] = severity
        if name in self._opened:
            assert inhibitor_of(rule, after) is None
            assert at - self._opened[name] < rule.expires_ms
        elif wants and not said and self._is_free(rule, at, after):
            assert at - self._wanted_since[name] < rule.for_ms

    def _may_fire(self, rule: Rule, at: int, severity: int, after: AccountState) -> None:
        early = EARLY_MS if rule.for_ms >= DAY_MS else 0
        assert at - self._wanted_since[rule.id] + early >= rule.for_ms
        assert inhibitor_of(rule, after) is None
        assert not self._stays_quiet.get(rule.id)
        if rule.id in self._ended and at - self._ended[rule.id] < rule.cooldown_ms:
            assert severity > self._severity[rule.id]
        for stronger in rule.inhibited_by.rules & self._ended.keys():
            assert at - self._ended[stronger] >= rule.inhibited_by.after_ms

    def _may_end(self, rule: Rule, at: int, reason: str, measures: Measures, *, held: bool) -> None:
        if reason == "recovered":
            assert not held
            assert holds(rule.clear.when, measures)
        elif reason == "expired":
            assert at - self._opened[rule.id] >= rule.expires_ms
        else:
            assert reason == "inhibited"

    def _is_free(self, rule: Rule, at: int, after: AccountState) -> bool:
        """Return whether nothing of the past, and no other signal, can keep the rule back."""
        quiet_since_ms = max((rule.cooldown_ms, *(each.inhibited_by.after_ms for each in self._rules.ordered)))
        return (
            not self._stays_quiet.get(rule.id)
            and inhibitor_of(rule, after) is None
            and all(at - ended > quiet_since_ms for ended in self._ended.values())
        )


@settings(max_examples=examples(60), deadline=None)
@given(rules(), pasts)
def test_each_signal_is_one_that_is_promised_and_a_healthy_account_is_forgotten(in_force: RuleSet, past: Any) -> None:
    promises, state, at = Promises(in_force), None, START_MS
    for mood, hours in past:
        for number in hours:
            at += number * HOUR_MS
            now = snapshot(**mood, at=at)
            folded = fold_snapshot(in_force, state, now)
            after = decode_state(folded.state) if folded.state else {}
            assert encode_state(after) == folded.state
            promises.check(at, measures_of(now), folded.signals, after)
            state = folded.state

    longest_ms = max(rule.expires_ms + rule.cooldown_ms for rule in in_force.ordered) + in_force.longest_after_ms
    for _ in range(4 + longest_ms // (7 * DAY_MS)):
        at += 7 * DAY_MS
        state = fold_snapshot(in_force, state, snapshot(at=at)).state

    assert state is None


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.tuples(rules(), pasts), min_size=2, max_size=4))
def test_rules_that_change_leave_no_episode_without_an_end_or_with_two(eras: list[tuple[RuleSet, Any]]) -> None:
    open_now: dict[str, dict[str, Any]] = {}
    state, at = None, START_MS
    for in_force, past in eras:
        names = {rule.id for rule in in_force.ordered}
        for mood, hours in past:
            for number in hours:
                at += number * HOUR_MS
                now = snapshot(**mood, at=at)
                before = len(open_now)
                folded = fold_snapshot(in_force, state, now)
                for signal in folded.signals:
                    _take(signal, open_now)
                    if signal["transition"] == "UPDATED":
                        rule = in_force.get(signal["rule"])
                        assert rule is not None
                        assert holds(rule.fires, measures_of(now))
                        assert not any(holds(node, measures_of(now)) for node in rule.hold)
                state = folded.state
                assert folded.opened == len(open_now) - before
                assert open_now.keys() <= names


def _take(signal: dict[str, Any], open_now: dict[str, dict[str, Any]]) -> None:
    """Apply one transition as a subscriber does, who knows only what is open."""
    before = open_now.get(signal["rule"])
    if signal["transition"] == "FIRING":
        assert before is None
    else:
        assert before is not None
        assert signal["transition_number"] == before["transition_number"] + 1
        assert (signal["episode_id"], signal["category"]) == (before["episode_id"], before["category"])
        assert Severity[signal["severity"]] >= Severity[before["severity"]]
    if signal["transition"] == "RESOLVED":
        del open_now[signal["rule"]]
    else:
        open_now[signal["rule"]] = signal
