"""
Is it news? One episode at a time for each account and rule, a cooldown after it, and a number for each transition.

While an episode is open the same cause adds nothing to it but a rise in severity. After its end the rule stays quiet
for the cooldown, unless it comes back more severe than it was.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from services.alerter.domain.rules import Category, Rule, RuleSet, Severity
from services.alerter.domain.stages.pending import PendingResult
from services.alerter.domain.state_format import RuleState


class Transition(Enum):
    """What happened to an episode."""

    FIRING = "FIRING"
    UPDATED = "UPDATED"
    RESOLVED = "RESOLVED"


class Reason(Enum):
    """Why an episode ended."""

    NONE = ""
    RECOVERED = "recovered"
    INHIBITED = "inhibited"
    EXPIRED = "expired"
    FORGOTTEN = "forgotten"


class EpisodeTransition(NamedTuple):
    """One transition of one episode."""

    transition: Transition
    severity: Severity
    category: Category
    """That of the rule when the episode began: an episode ends on the topic on which it began."""
    number: int
    started_at: int
    reason: Reason = Reason.NONE


def deduplicate(
    rule: Rule, state: RuleState, ripe: PendingResult, inhibitor: str | None, at: int, *, is_gone: bool, quiet: bool
) -> EpisodeTransition | None:
    """
    Decide on the transition, if any, at log time `at` (milliseconds), and note it in `state`.

    `is_gone` says that the cause is not there now, as far as anything can be said, `quiet` whether the rule is kept back from
    starting an episode.
    """
    if is_gone:
        state.expired_while_firing = False
    if not state.open:
        return (
            None
            if quiet or not ripe.fire or not _is_news(rule, state, ripe.severity, at)
            else _start(rule, state, ripe.severity, at)
        )
    if not rule.enabled:
        return end(state, Reason.EXPIRED, at)
    if inhibitor is not None:
        return end(state, Reason.INHIBITED, at)
    if ripe.clear:
        return end(state, Reason.RECOVERED, at)
    if at - state.started_at >= rule.expires_ms:
        state.expired_while_firing = not is_gone
        return end(state, Reason.EXPIRED, at)
    if ripe.severity > state.severity:
        state.severity = ripe.severity
        state.transitions += 1
        category = Category(state.category)
        return EpisodeTransition(Transition.UPDATED, ripe.severity, category, state.transitions, state.started_at)
    return None


def _is_news(rule: Rule, state: RuleState, severity: Severity, at: int) -> bool:
    if state.expired_while_firing or at <= state.resolved_at:
        return False
    cooling = state.resolved_at > 0 and at - state.resolved_at < rule.cooldown_ms
    return not cooling or severity > state.severity


def _start(rule: Rule, state: RuleState, severity: Severity, at: int) -> EpisodeTransition:
    state.started_at, state.transitions, state.clear_since = at, 1, 0
    state.severity, state.category = int(severity), int(rule.category)
    return EpisodeTransition(Transition.FIRING, severity, rule.category, 1, at)


def end(state: RuleState, reason: Reason, at: int) -> EpisodeTransition:
    """Close the open episode of a rule and start its cooldown."""
    started, number = state.started_at, state.transitions + 1
    state.started_at = state.transitions = state.clear_since = state.pending_since = 0
    state.resolved_at = at
    category = Category(state.category)
    return EpisodeTransition(Transition.RESOLVED, Severity(state.severity), category, number, started, reason)


def forget_what_is_over(rules: RuleSet, rule: Rule, state: RuleState, at: int) -> None:
    """Drop the memory of an end that keeps nothing quiet any more, so that quiet accounts hold no state."""
    if (
        not state.open
        and not state.expired_while_firing
        and at - state.resolved_at >= max(rule.cooldown_ms, rules.longest_after_ms)
    ):
        state.resolved_at = state.severity = state.category = 0
