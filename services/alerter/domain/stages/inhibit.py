"""
Which other open signal keeps this one back.

A silent account needs no second signal that says its use declines, and nobody should sell more seats to a customer at
risk.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.alerter.domain.rules import Category, Rule, Severity
from services.alerter.domain.state_format import RuleState


def inhibitor_of(rule: Rule, states: Mapping[str, RuleState]) -> str | None:
    """Return the first rule, by name, whose open episode keeps this one back; None where there is none."""
    by = rule.inhibited_by
    for name in sorted(states):
        other = states[name]
        if name == rule.id or not other.open:
            continue
        if name in by.rules or (_counts(other) and Category(other.category) in by.categories):
            return name
    return None


def _counts(other: RuleState) -> bool:
    return other.severity > Severity.INFO


def inhibit(rule: Rule, state: RuleState, inhibitor: str | None, at: int) -> bool:
    """Return whether the rule must not fire at log time `at`: kept back now, or not long enough ago. Changes `state`."""
    after = rule.inhibited_by.after_ms
    if inhibitor is not None:
        if after:
            state.inhibited_at = at
        return True
    if state.inhibited_at and at - state.inhibited_at < after:
        return True
    state.inhibited_at = 0
    return False
