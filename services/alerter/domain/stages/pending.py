"""
Has it been so for long enough? Keeps the clocks of a rule: of firing, of clearing and of each escalation.

A clock starts with the first snapshot on which its condition holds and stops with the first on which it does not.
While a rule is held, all of them stand at zero: what was seen during a dip of all customers says nothing.
The clock of an escalation belongs to its condition, whatever its place in the rule: a rule may be changed meanwhile.
"""

from __future__ import annotations

from typing import NamedTuple

from services.alerter.domain.conditions import mark_of
from services.alerter.domain.durations import reached
from services.alerter.domain.rules import Rule, Severity
from services.alerter.domain.stages.evaluate import RuleVerdict
from services.alerter.domain.state_format import RuleState


class PendingResult(NamedTuple):
    """What has held for as long as the rule asks."""

    fire: bool
    clear: bool
    severity: Severity
    """The highest that holds; INFO where the rule itself does not hold, or nothing may move."""


def pending(rule: Rule, state: RuleState, verdict: RuleVerdict, at: int) -> PendingResult:
    """Move the clocks to log time `at` (milliseconds) and tell what is ripe. Changes `state`."""
    wants_fire = verdict.fires and not verdict.barred and not verdict.held
    wants_clear = verdict.clears and not verdict.held and state.open
    state.pending_since = _moved(state.pending_since, at, running=wants_fire)
    state.clear_since = _moved(state.clear_since, at, running=wants_clear)
    return PendingResult(
        fire=wants_fire and reached(at - state.pending_since, rule.for_ms),
        clear=wants_clear and reached(at - state.clear_since, rule.clear.for_ms),
        severity=_severity(rule, state, verdict, at),
    )


def _moved(since: int, at: int, *, running: bool) -> int:
    return (since or at) if running else 0


def _severity(rule: Rule, state: RuleState, verdict: RuleVerdict, at: int) -> Severity:
    # A rule may have been made more severe meanwhile: that is no rise of what holds no more, or is held.
    severity = rule.severity if verdict.fires and not verdict.held else Severity.INFO
    before = dict(zip(state.rising[::2], state.rising[1::2], strict=False))
    since: dict[int, int] = {}
    for step, holds in zip(rule.escalations, verdict.rises, strict=True):
        if not holds or verdict.held:
            continue
        mark = mark_of(step.when)
        since[mark] = before.get(mark) or at
        if reached(at - since[mark], step.for_ms):
            severity = max(severity, step.severity)
    state.rising = [number for clock in since.items() for number in clock]
    return severity
