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
    return next((name for name in sorted(states) if states[name].open and _stronger(rule, name, states[name])), None)


def quiet_until(rule: Rule, state: RuleState, states: Mapping[str, RuleState]) -> int:
    """
    Return the log time up to which the rule stays quiet after what kept it back has ended; 0: nothing did.

    The other rules remember when they ended: this one has no state to note it in where it did not want to fire meanwhile.
    """
    if not rule.inhibited_by.after_ms:
        return 0
    ends = (other.resolved_at for name, other in states.items() if _stronger(rule, name, other))
    last = max(state.inhibited_at, max(ends, default=0))
    return last + rule.inhibited_by.after_ms if last else 0


def _stronger(rule: Rule, name: str, other: RuleState) -> bool:
    """Return whether an episode of that rule, open or the last one, keeps this rule back."""
    by = rule.inhibited_by
    if name == rule.id:
        return False
    return name in by.rules or (other.severity > Severity.INFO and Category(other.category) in by.categories)


def inhibit(rule: Rule, state: RuleState, states: Mapping[str, RuleState], inhibitor: str | None, at: int) -> bool:
    """Return whether the rule must not fire at log time `at`: kept back now, or not long enough ago. Changes `state`."""
    if inhibitor is not None:
        if rule.inhibited_by.after_ms:
            state.inhibited_at = at
        return True
    if at < quiet_until(rule, state, states):
        return True
    state.inhibited_at = 0
    return False
