"""The contract: what it brings in, and when it ends."""

from __future__ import annotations

from services.scorer.domain.health.known import Known
from services.scorer.domain.health.lifecycle_stage import RENEWAL_DAYS
from services.scorer.domain.health.measures.registry import measure
from services.shared.units import day_of

_MONTHLY_TERM_DAYS = 45
_MONTHLY_WINDOW_DAYS = 7


@measure
def renewal_overdue_days(known: Known) -> float | None:
    renewal = known.facts["renewal_day"]
    return None if renewal is None else max(0, known.day - renewal)


@measure
def renewal_in_days(known: Known) -> float | None:
    renewal = known.facts["renewal_day"]
    return None if renewal is None else renewal - day_of(known.at)


@measure
def renewal_window_days(known: Known) -> float | None:
    renewal, start = known.facts["renewal_day"], known.facts["contract_start_day"]
    if renewal is None:
        return None
    monthly = start is not None and 0 < renewal - start <= _MONTHLY_TERM_DAYS
    return _MONTHLY_WINDOW_DAYS if monthly else RENEWAL_DAYS


@measure
def revenue(known: Known) -> float | None:
    return known.facts["revenue"]  # type: ignore[no-any-return]
