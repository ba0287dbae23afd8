"""What the support tickets say."""

from __future__ import annotations

from services.scorer.domain.health.known import Known
from services.scorer.domain.health.measures.registry import measure
from services.shared.units import DAY_MS


@measure
def tickets_open(known: Known) -> float | None:
    return known.support.open


@measure
def oldest_ticket_days(known: Known) -> float | None:
    return max(0, known.day * DAY_MS - known.support.oldest_opened_at) / DAY_MS if known.support.open else 0


@measure
def median_ticket_hours(known: Known) -> float | None:
    return known.support.median_age_hours


@measure
def tickets_opened_28(known: Known) -> float | None:
    return known.support.opened_28


@measure
def tickets_closed_28(known: Known) -> float | None:
    return known.support.closed_28
