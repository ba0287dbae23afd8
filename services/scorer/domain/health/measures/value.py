"""Whether the customer gets what they pay for."""

from __future__ import annotations

from services.scorer.domain.health.known import Known
from services.scorer.domain.health.measures.registry import measure


@measure
def days_without_value(known: Known) -> float | None:
    if known.stage not in ("ONBOARDING", "ADOPTION") or known.started is None:
        return None
    return 0 if known.first_value_day >= 0 else max(0, known.day - known.started)


@measure
def value_weeks_4(known: Known) -> float | None:
    return None if known.stage == "ONBOARDING" else known.usage.value_weeks_4


@measure
def value_days_28(known: Known) -> float | None:
    return known.usage.value_days_28


@measure
def value_proven(known: Known) -> float | None:
    return known.usage.value_proven


@measure
def onboarding(known: Known) -> float | None:
    return known.stage == "ONBOARDING"
