"""How much an account is used, against its own usual level."""

from __future__ import annotations

from services.scorer.domain.health.known import Known
from services.scorer.domain.health.measures.registry import measure, measure_per_window
from services.scorer.domain.health.trend import SMOOTH, Window
from services.scorer.domain.health.usage import QUARTER_WEEKS


@measure_per_window
def level(window: Window) -> float:
    return window.ratio


@measure_per_window
def user_days(window: Window) -> float:
    return window.active


@measure_per_window
def expected(window: Window) -> float:
    return window.expected


@measure_per_window
def chance_low(window: Window) -> float:
    return window.p_low


@measure_per_window
def chance_high(window: Window) -> float:
    return window.p_high


@measure
def level_12w(known: Known) -> float | None:
    usual = known.usage.baseline.rate * QUARTER_WEEKS
    return (known.usage.user_days_84 + SMOOTH) / (usual + SMOOTH)


@measure
def usual_week(known: Known) -> float | None:
    return known.usage.baseline.rate


@measure
def fleet_level(known: Known) -> float | None:
    return known.fleet_level


@measure
def calendar_level(known: Known) -> float | None:
    calendar = known.usage.calendar
    if calendar is None:
        return None
    return 0.0 if calendar.absent_until is not None else calendar.shares[0]


@measure
def public_holidays_7(known: Known) -> float | None:
    return None if known.usage.calendar is None else known.usage.calendar.holidays_7


@measure
def absence_days_left(known: Known) -> float | None:
    calendar = known.usage.calendar
    if calendar is None or calendar.absent_until is None:
        return None
    return max(0, calendar.absent_until - known.usage.day)


@measure
def baseline_weeks(known: Known) -> float | None:
    return known.usage.baseline_weeks


@measure
def learning(known: Known) -> float | None:
    return known.usage.learning


@measure
def age_days(known: Known) -> float | None:
    return max(0, known.usage.day - known.first_day) if known.first_day >= 0 else None


@measure
def silent_days(known: Known) -> float | None:
    return known.usage.silent_days if known.usage.silent_days >= 0 else None


@measure
def silence_limit_days(known: Known) -> float | None:
    return known.usage.silence_limit


@measure
def expected_in_silence(known: Known) -> float | None:
    return known.usage.expected_in_silence if known.usage.silent_days >= 0 else None


@measure
def silence_level(known: Known) -> float | None:
    return known.usage.silent_days / known.usage.silence_limit if known.usage.silent_days >= 0 else None


@measure
def active_days_7(known: Known) -> float | None:
    return known.usage.active_days_7


@measure
def active_days_210(known: Known) -> float | None:
    return known.usage.active_days_210


@measure
def events_7(known: Known) -> float | None:
    return known.usage.events_7


@measure
def events_28(known: Known) -> float | None:
    return known.usage.events_28
