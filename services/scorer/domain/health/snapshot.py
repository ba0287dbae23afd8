"""One evaluation of one account: from its state to the AccountHealth record and what is kept for the next one."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from xxhash import xxh64_intdigest

from schemas.measures import numbered
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.health.bands import next_band
from services.scorer.domain.health.known import Known, known_of
from services.scorer.domain.health.last_evaluation import LastEvaluation, read
from services.scorer.domain.health.measuring import measures_of
from services.scorer.domain.health.model import Model
from services.scorer.domain.health.risk import UNKNOWN, predicted, risk
from services.scorer.domain.health.rounding import six_digits
from services.scorer.domain.health.score import Health, health
from services.scorer.domain.health.usage import Usage
from services.shared.tracking_plan.state_names import ABSENT_FROM, ABSENT_UNTIL

_encode = msgspec.msgpack.Encoder().encode


class EvaluationContext(NamedTuple):
    """What every account of a lane is evaluated against at one moment."""

    at: int
    """Log time, milliseconds since 1970 UTC."""
    day: int
    """The last closed day."""
    levels: list[float]
    """The fleet's level, week by week, the latest first."""
    connected: frozenset[str]
    model: Model


class Evaluation(NamedTuple):
    """A snapshot without number, reason and trigger, and the evaluation to keep if it is published."""

    snapshot: dict[str, Any]
    last_evaluation: LastEvaluation
    changed: bool
    """Whether it says anything that the latest published one did not."""


def evaluate(account: Account, context: EvaluationContext) -> Evaluation:
    """Evaluate one account. Changes nothing."""
    before = read(account.last_evaluation)
    value_connected = "value" in context.connected and "value" in account.kinds.counts
    known = known_of(account, context.at, context.day, context.levels, value_connected=value_connected)
    values = measures_of(known)
    scored = health(values, known.stage, context.model, context.connected, before.shares)
    band, since = _band(before, scored, known.usage, context)
    parts = [
        {
            "number": part.number,
            "score": part.score,
            "weight": six_digits(part.weight),
            "contribution_tenths": part.contribution,
            "change_tenths": part.change,
        }
        for part in scored.parts
    ]
    risk_parts = risk(values, context.model.risk) if context.model.risk else ()
    said = {
        "stage": known.stage,
        "band": band,
        "score_tenths": scored.score,
        "coverage": six_digits(scored.coverage),
        "measures": numbered(values),
        "risk_thousandths": sum(part.thousandths for part in risk_parts) if risk_parts else None,
        "risk_parts": [{"number": part.number, "thousandths": part.thousandths} for part in risk_parts],
        "risk_predicts": predicted(values, context.model.risk) if context.model.risk and risk_parts else UNKNOWN,
        "dates": _dates(account, known.usage),
        "counted": _counted(known),
        "lowest_user": known.sentiment.lowest_user_90,
        "facts": known.facts,
        "model_version": context.model.fingerprint,
    }
    shares = scored.shares
    content = xxh64_intdigest(_encode((context.day, said, sorted(shares.items()))))
    snapshot = {
        "account": account.name,
        "at": context.at,
        "day": context.day,
        "previous_score_tenths": before.score_tenths,
        "parts": parts,
        **said,
    }
    last_evaluation = LastEvaluation(before.sequence + 1, scored.score, band, since, shares, content)
    return Evaluation(snapshot, last_evaluation, content != before.content)


def _band(before: LastEvaluation, scored: Health, usage: Usage, context: EvaluationContext) -> tuple[str, int]:
    if usage.learning:
        return "LEARNING", 0
    if scored.coverage < context.model.coverage_floor:
        return "UNKNOWN", 0
    return next_band(before.band, before.past_edge_since, scored.score, context.at, before.score_tenths)


def _counted(known: Known) -> dict[str, list[str]]:
    """Return the names of what measures counted, by measure."""
    named = {"roles_gone": known.roles_gone}
    if known.adoption is not None:
        named |= {"features_dropped": known.adoption.dropped, "core_features_unused": known.adoption.core_unused}
    return {measure: list(names) for measure, names in named.items() if names}


def _dates(account: Account, usage: Usage) -> dict[str, int]:
    dates = {
        **{name: account.milestone(name) for name in account.kinds.milestones},
        "last_activity": account.last_active_day,
    }
    calendar = usage.calendar
    if calendar is not None and calendar.absent_from is not None and calendar.absent_until is not None:
        dates |= {ABSENT_FROM: calendar.absent_from, ABSENT_UNTIL: calendar.absent_until}
    return {name: day for name, day in dates.items() if day >= 0}
