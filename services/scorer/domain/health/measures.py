"""The measures: one number each out of what is known of an account. A measure without fresh data is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from services.scorer.domain.accounts.survey_answers import Sentiment
from services.scorer.domain.health.usage import Usage
from services.scorer.domain.units import DAY_MS


class Support(NamedTuple):
    """What the tickets of an account say. Times are milliseconds since 1970 UTC."""

    open: int
    oldest_opened_at: int
    median_age_hours: float
    opened_28: int
    closed_28: int


class Known(NamedTuple):
    """All that a measure may look at."""

    at: int
    """Log time, milliseconds since 1970 UTC."""
    day: int
    usage: Usage
    support: Support
    sentiment: Sentiment
    stage: str
    started: int | None
    first_value_day: int
    seats: int | None
    renewal_day: int | None


def _usage_four_weeks(known: Known) -> float | None:
    return None if known.usage.learning else known.usage.windows[2].ratio


def _usage_one_week(known: Known) -> float | None:
    return None if known.usage.learning else known.usage.windows[0].ratio


def _usage_recency(known: Known) -> float | None:
    return None if known.usage.silent_days < 0 else known.usage.silent_days / known.usage.silence_limit


def _people_trend(known: Known) -> float | None:
    expected = known.usage.active_users_28_expected
    return known.usage.active_users_28 / expected if expected > 0 and not known.usage.learning else None


def _people_active(known: Known) -> float | None:
    return float(known.usage.active_users_28) if known.usage.silent_days >= 0 else None


def _seat_use(known: Known) -> float | None:
    return known.usage.active_users_28 / known.seats if known.seats else None


def _first_value(known: Known) -> float | None:
    if known.stage not in ("ONBOARDING", "ADOPTION") or known.started is None:
        return None
    return 0.0 if known.first_value_day >= 0 else float(max(0, known.day - known.started))


def _value_rhythm(known: Known) -> float | None:
    return None if known.stage == "ONBOARDING" else float(known.usage.value_weeks_4)


def _tickets_open(known: Known) -> float | None:
    return float(known.support.open)


def _oldest_ticket(known: Known) -> float | None:
    return max(0, known.at - known.support.oldest_opened_at) / DAY_MS if known.support.open else 0.0


def _survey_mean(known: Known) -> float | None:
    return known.sentiment.mean if known.sentiment.responses else None


def _renewal_overdue(known: Known) -> float | None:
    return float(max(0, known.day - known.renewal_day)) if known.renewal_day is not None else None


MEASURES: dict[str, Callable[[Known], float | None]] = {
    "usage_four_weeks": _usage_four_weeks,
    "usage_one_week": _usage_one_week,
    "usage_recency": _usage_recency,
    "people_trend": _people_trend,
    "people_active": _people_active,
    "seat_use": _seat_use,
    "first_value": _first_value,
    "value_rhythm": _value_rhythm,
    "tickets_open": _tickets_open,
    "oldest_ticket": _oldest_ticket,
    "survey_mean": _survey_mean,
    "renewal_overdue": _renewal_overdue,
}
"""Name to measure, in the order in which a snapshot lists them."""
