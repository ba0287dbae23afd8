"""The tick interval follows the span of a file."""

from __future__ import annotations

import pytest

from services.backfill.plan import tick_hours_for
from services.shared.units import DAY_MS


@pytest.mark.parametrize(("days", "hours"), [(0, 6), (245, 6), (731, 6), (732, 24), (6_000, 24)])
def test_many_years_are_driven_by_whole_days(days: int, hours: int) -> None:
    assert tick_hours_for(0, days * DAY_MS) == hours
