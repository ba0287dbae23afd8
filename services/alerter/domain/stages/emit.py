"""
The record that goes out for one transition: identity, evidence, and texts for people.

The id is made of account, rule, start of the episode and transition number, so that a replay gives the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.alerter.domain.measures import Measures
from services.alerter.domain.rules import Rule, Severity, Text
from services.alerter.domain.stages.deduplicate import EpisodeTransition, Reason, Transition
from services.alerter.domain.wording import WITHDRAWN_SUMMARY, Phrases, expired_summary, fill, replaced_summary

Signal = dict[str, Any]
"""One record of signal/v1.avsc."""

_SIGNIFICANT_DIGITS = 6


def emit(
    rule: Rule,
    move: EpisodeTransition,
    snapshot: Mapping[str, Any],
    measures: Measures,
    *,
    phrases: Phrases,
    rules_version: str,
    by_title: str | None = None,
) -> Signal:
    """Make the signal of one transition; `by_title` is that of the open signal that took its place, where one did."""
    text = rule.text_at(move.severity)
    summary = _summary(rule, text, move, snapshot["at"], phrases, by_title)
    evidence = [
        {"name": item.measure, "value": value, "usual": rounded(measures.get(item.usual)) if item.usual else None}
        for item in rule.evidence
        if (value := rounded(measures.get(item.measure))) is not None
    ]
    return signal(
        snapshot,
        move,
        rule=rule.id,
        text=Text(fill(text.title, phrases), summary, _action(text, move, phrases)),
        evidence=evidence,
        rules_version=rules_version,
    )


def signal(
    snapshot: Mapping[str, Any],
    move: EpisodeTransition,
    *,
    rule: str,
    text: Text,
    evidence: list[dict[str, Any]],
    rules_version: str,
) -> Signal:
    """Put a signal together; all but the texts and the evidence comes from the transition and the snapshot."""
    account, facts = snapshot["account"], snapshot["facts"]
    episode = f"{account}:{rule}:{move.started_at}"
    return {
        "signal_id": f"{episode}:{move.number}",
        "episode_id": episode,
        "account": account,
        "rule": rule,
        "category": move.category.name,
        "severity": Severity(move.severity).name,
        "transition": move.transition.value,
        "transition_number": move.number,
        "resolved_reason": move.reason.value,
        "episode_started_at": move.started_at,
        "at": snapshot["at"],
        "historical": snapshot["historical"],
        "trigger_received_at": snapshot["trigger_received_at"],
        "title": text.title,
        "summary": text.summary,
        "action": text.action,
        "evidence": evidence,
        "account_name": facts["name"] or "",
        "owner": facts["owner"] or "",
        "revenue": facts["revenue"],
        "renewal_day": facts["renewal_day"],
        "stage": snapshot["stage"],
        "band": snapshot["band"],
        "score_tenths": snapshot["score_tenths"],
        "health_sequence": snapshot["sequence"],
        "rules_version": rules_version,
    }


def _summary(rule: Rule, text: Text, move: EpisodeTransition, at: int, phrases: Phrases, by_title: str | None) -> str:
    if move.reason is Reason.INHIBITED:
        return replaced_summary(fill(by_title, phrases) if by_title else "a stronger one")
    if move.reason is Reason.EXPIRED:
        return expired_summary(at - move.started_at) if rule.enabled else WITHDRAWN_SUMMARY
    return fill(rule.recovered if move.reason is Reason.RECOVERED else text.summary, phrases)


def _action(text: Text, move: EpisodeTransition, phrases: Phrases) -> str:
    return "" if move.transition is Transition.RESOLVED else fill(text.action, phrases)


def rounded(value: float | None) -> float | None:
    """Round to six significant digits, so that a last bit of arithmetic never shows."""
    return None if value is None else float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
