"""
The fold of the alerter: one snapshot of one account through all rules and stages.

Deterministic and total: any snapshot that decodes gives signals and a new state, in an order fixed by the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from services.alerter.domain.closing import ForgottenAccount, close_forgotten, close_withdrawn
from services.alerter.domain.measures import Measures, measures_of
from services.alerter.domain.rules import Category, Rule, RuleSet, Severity
from services.alerter.domain.stages.deduplicate import deduplicate, forget_what_is_over
from services.alerter.domain.stages.emit import Signal, emit
from services.alerter.domain.stages.evaluate import evaluate, fires
from services.alerter.domain.stages.inhibit import inhibit, inhibitor_of
from services.alerter.domain.stages.pending import pending
from services.alerter.domain.state_format import AccountState, RuleState, decode_state, encode_state
from services.alerter.domain.wording import Phrases


class Folded(NamedTuple):
    """What one snapshot led to."""

    state: bytes | None
    """The account's new state; None where there is nothing to remember."""
    signals: tuple[Signal, ...]
    opened: int
    """Open episodes now, minus those before."""


def fold_snapshot(rules: RuleSet, before: bytes | None, snapshot: Mapping[str, Any]) -> Folded:
    """
    Judge one snapshot (a decoded AccountHealth) by all rules.

    Raises:
        IncompatibleState: `before` is of another version.
    """
    states = decode_state(before) if before is not None else {}
    open_before = open_episodes(states)
    measures = measures_of(snapshot)
    signals = close_withdrawn(rules, states, snapshot)
    for rule in rules.ordered:
        found = _judge(rules, rule, states, snapshot, measures)
        if found is not None:
            signals.append(found)
    return Folded(encode_state(states), tuple(signals), open_episodes(states) - open_before)


def forget_account(rules: RuleSet, before: bytes | None, forgotten: ForgottenAccount) -> Folded:
    """
    Resolve the open episodes of an account that the scorer has forgotten; its state ends.

    Raises:
        IncompatibleState: `before` is of another version.
    """
    states = decode_state(before) if before is not None else {}
    was_open = open_episodes(states)
    return Folded(None, tuple(close_forgotten(rules, states, forgotten)), -was_open)


def open_episodes(states: AccountState) -> int:
    """Count the open episodes of an account."""
    return sum(state.open for state in states.values())


def open_measures(states: AccountState, rule: str) -> Measures:
    """Return OPEN_MEASURES as a rule sees them: what the account's other rules say."""
    risks = critical = 0
    for name, state in states.items():
        if name != rule and _is_open_risk(state):
            risks += 1
            critical += state.severity == Severity.CRITICAL
    return {"open_risks": float(risks), "open_critical": float(critical)}


def _judge(
    rules: RuleSet, rule: Rule, states: AccountState, snapshot: Mapping[str, Any], measures: Measures
) -> Signal | None:
    at = snapshot["at"]
    state = states.get(rule.id) or RuleState()
    measures |= open_measures(states, rule.id)
    if rule.id not in states and not fires(rule, measures):
        return None  # so it is with nearly every rule and snapshot: the other conditions need not be asked
    verdict = evaluate(rule, measures)
    ripe = pending(rule, state, verdict, at)
    inhibitor = inhibitor_of(rule, states)
    quiet = inhibit(rule, state, states, inhibitor, at)
    is_gone = not verdict.fires and not verdict.held
    move = deduplicate(rule, state, ripe, inhibitor, at, is_gone=is_gone, quiet=quiet)
    forget_what_is_over(rules, rule, state, at)
    states[rule.id] = state
    if move is None:
        return None
    phrases = Phrases(snapshot, measures, _titles(rules, states, _other_risks(states, rule.id)), rule.conditions)
    stronger = rules.get(inhibitor) if inhibitor else None
    by_title = _title(stronger, states) if stronger else None
    return emit(rule, move, snapshot, measures, phrases=phrases, rules_version=rules.version, by_title=by_title)


def _other_risks(states: AccountState, rule: str) -> list[str]:
    return [name for name in sorted(states) if name != rule and _is_open_risk(states[name])]


def _is_open_risk(state: RuleState) -> bool:
    return state.open and state.category == Category.RISK and state.severity > Severity.INFO


def _titles(rules: RuleSet, states: AccountState, names: list[str]) -> str:
    """Return the titles of these open signals, those without placeholders as they are, as part of a sentence."""
    found = [_title(rule, states) for name in names if (rule := rules.get(name)) is not None]
    return ", ".join(title[:1].lower() + title[1:] for title in found if "{" not in title)


def _title(rule: Rule, states: AccountState) -> str:
    """Return the title by which lists show the open signal of a rule: that of its severity."""
    return rule.text_at(Severity(states[rule.id].severity)).title
