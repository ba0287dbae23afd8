"""One evaluation of one account: from its state to the AccountHealth record and what is kept for the next one."""

from __future__ import annotations

from statistics import median
from typing import Any, NamedTuple

import msgspec
from xxhash import xxh64_intdigest

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.facts import WELL_KNOWN
from services.scorer.domain.accounts.survey_answers import Sentiment
from services.scorer.domain.health.bands import next_band
from services.scorer.domain.health.last_evaluation import LastEvaluation, read
from services.scorer.domain.health.lifecycle_stage import stage, start_day
from services.scorer.domain.health.measures import Known, Support
from services.scorer.domain.health.model import Model
from services.scorer.domain.health.score import Health, health
from services.scorer.domain.health.usage import Usage, usage_of
from services.scorer.domain.units import HOUR_MS, PPM, six_digits

_encode = msgspec.msgpack.Encoder().encode


class EvaluationContext(NamedTuple):
    """What every account of a lane is evaluated against at one moment."""

    at: int
    """Log time, milliseconds since 1970 UTC."""
    day: int
    """The last closed day."""
    levels: list[float]
    """Of the fleet, week by week, the latest first."""
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
    usage = usage_of(account, context.day, context.levels, "value" in context.connected)
    support = _support(account, context)
    answers = account.sentiment("nps", context.at)
    facts: dict[str, Any] = {name: account.fact(name) for name in WELL_KNOWN}
    started = start_day(account.milestone("first_activity"), facts["contract_start_day"])
    phase = stage(context.day + 1, started, account.milestone("first_value"), facts["renewal_day"])
    known = Known(
        context.at,
        context.day + 1,
        usage,
        support,
        answers,
        phase,
        started,
        account.milestone("first_value"),
        facts["seats"],
        facts["renewal_day"],
    )
    scored = health(known, context.model, context.connected, before.shares)
    band, since = _band(before, scored, usage, context)
    said = {
        "stage": phase,
        "band": band,
        "score_tenths": scored.score,
        "coverage": six_digits(scored.coverage),
        "usage": _usage_part(account, usage, round(context.levels[0] * PPM)),
        "support": support._asdict(),
        "sentiment": _sentiment_part(answers),
        "facts": facts,
        "model_version": context.model.fingerprint,
    }
    measures = [
        {
            "name": m.name,
            "dimension": m.dimension,
            "value": six_digits(m.value),
            "score": m.score,
            "weight": six_digits(m.weight),
            "contribution_tenths": m.contribution,
            "change_tenths": m.change,
        }
        for m in scored.measures
    ]
    levels = [
        (m["name"], m["value"], m["contribution_tenths"]) for m in measures if m["weight"] or m["contribution_tenths"]
    ]
    content = xxh64_intdigest(_encode((context.day, said, levels)))
    snapshot = {
        "account": account.name,
        "at": context.at,
        "day": context.day,
        "previous_score_tenths": before.score_tenths,
        "measures": measures,
        **said,
    }
    last_evaluation = LastEvaluation(before.sequence + 1, scored.score, band, since, scored.shares, content)
    return Evaluation(snapshot, last_evaluation, content != before.content)


def _band(before: LastEvaluation, scored: Health, usage: Usage, context: EvaluationContext) -> tuple[str, int]:
    if usage.learning:
        return "LEARNING", 0
    if scored.coverage < context.model.coverage_floor:
        return "UNKNOWN", 0
    return next_band(before.band, before.past_edge_since, scored.score, context.at)


def _support(account: Account, context: EvaluationContext) -> Support:
    since = account.open_since("tickets")
    opened, closed = account.history("tickets_opened", context.day), account.history("tickets_closed", context.day)
    return Support(
        open=len(since),
        oldest_opened_at=since[0] if since else 0,
        median_age_hours=six_digits(max(0.0, context.at - median(since)) / HOUR_MS) if since else 0.0,
        opened_28=(int(opened[-27:].sum()) if opened is not None else 0) + account.today("tickets_opened"),
        closed_28=(int(closed[-27:].sum()) if closed is not None else 0) + account.today("tickets_closed"),
    )


def _usage_part(account: Account, usage: Usage, fleet_ppm: int) -> dict[str, Any]:
    return {
        "first_day": account.milestone("first_activity"),
        "last_active_day": account.last_active_day,
        "silent_days": usage.silent_days,
        "active_days_7": usage.active_days_7,
        "gap_p90_days": usage.gap_p90_days,
        "baseline_weeks": usage.baseline_weeks,
        "fleet_ppm": fleet_ppm,
        "usual_week": six_digits(usage.baseline.rate),
        "windows": [
            {
                "weeks": w.weeks,
                "active_user_days": w.active,
                "expected": six_digits(w.expected),
                "ratio": six_digits(w.ratio),
                "p_low": six_digits(w.p_low),
                "p_high": six_digits(w.p_high),
            }
            for w in usage.windows
        ],
        "events_7": usage.events_7,
        "events_28": usage.events_28,
        "active_users_7": usage.active_users_7,
        "active_users_28": usage.active_users_28,
        "active_users_28_usual": usage.active_users_28_usual,
        "first_value_day": account.milestone("first_value"),
        "value_days_28": usage.value_days_28,
        "value_proven": usage.value_proven,
    }


def _sentiment_part(answers: Sentiment) -> dict[str, Any]:
    part = answers._asdict()
    del part["mean"]
    return part
