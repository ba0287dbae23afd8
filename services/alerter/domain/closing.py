"""
Ends episodes that no rule judges any more: of rules that are gone, and of accounts that the scorer has forgotten.

Of a forgotten account nothing is known any more but its state, so such a record carries no facts and no health.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from services.alerter.domain.rules import RuleSet, Text
from services.alerter.domain.stages.deduplicate import Reason, end
from services.alerter.domain.stages.emit import Signal, signal
from services.alerter.domain.state_format import AccountState, RuleState
from services.alerter.domain.wording import FORGOTTEN_SUMMARY, WITHDRAWN_SUMMARY


class ForgottenAccount(NamedTuple):
    """An account that the scorer remembers no more, as an AccountForgotten has it."""

    account: str
    at: int
    """Log time, milliseconds since 1970 UTC."""
    historical: bool
    """Whether a backfill led to it."""


def close_withdrawn(rules: RuleSet, states: AccountState, snapshot: Mapping[str, Any]) -> list[Signal]:
    """Resolve the episodes of rules that are no longer there, and drop the state of such rules."""
    known = {rule.id for rule in rules.ordered}
    gone = {name: states.pop(name) for name in sorted(states.keys() - known)}
    return [
        _closed(rules, name, state, Reason.EXPIRED, snapshot, WITHDRAWN_SUMMARY)
        for name, state in gone.items()
        if state.open
    ]


def close_forgotten(rules: RuleSet, states: AccountState, forgotten: ForgottenAccount) -> list[Signal]:
    """Resolve every open episode of an account of which nothing is known any more."""
    nothing_known = {
        "account": forgotten.account,
        "at": forgotten.at,
        "historical": forgotten.historical,
        "trigger_received_at": 0,
        "facts": dict.fromkeys(("name", "owner", "revenue", "renewal_day")),
        "stage": "UNKNOWN",
        "band": "UNKNOWN",
        "score_tenths": 0,
        "sequence": 0,
    }
    return [
        _closed(rules, name, states[name], Reason.FORGOTTEN, nothing_known, FORGOTTEN_SUMMARY)
        for name in sorted(states)
        if states[name].open
    ]


def _closed(
    rules: RuleSet, name: str, state: RuleState, reason: Reason, snapshot: Mapping[str, Any], summary: str
) -> Signal:
    return signal(
        snapshot,
        end(state, reason, snapshot["at"]),
        rule=name,
        text=Text(name.replace("_", " ").capitalize(), summary, ""),
        evidence=[],
        rules_version=rules.version,
    )
