"""Whether an account is away, and why."""

from typing import Any

import pytest

from services.warehouse.domain import away

TODAY = 20_423
FEAST = {"calendar_level": 0.7, "public_holidays_7": 3.0}


def snapshot(day: int = TODAY, measures: dict[str, float] = FEAST, **dates: int) -> dict[str, Any]:
    return away.facts_of({"day": day, "measures": measures, "dates": dates})


def test_an_account_is_away_by_plan_on_each_day_of_an_absence() -> None:
    found = [away.why(snapshot(TODAY - 9, {}, absent_from=3, absent_until=5), day) for day in (2, 3, 5, 6)]

    assert found == [None, "absence", "absence", None]


@pytest.mark.parametrize("day", [TODAY, TODAY - 1])
def test_public_holidays_that_hold_signals_are_a_reason(day: int) -> None:
    assert away.why(snapshot(day), TODAY) == "holidays"


@pytest.mark.parametrize(
    "measures",
    [
        {},
        {"public_holidays_7": 1.0, "calendar_level": 0.8},
        {"calendar_level": 0.4},
        FEAST | {"public_holidays_7": 0.0},
    ],
)
def test_leave_an_absence_that_is_over_and_a_day_off_are_none(measures: dict[str, float]) -> None:
    assert away.why(snapshot(measures=measures), TODAY) is None


def test_holidays_of_an_old_snapshot_are_over() -> None:
    assert away.why(snapshot(TODAY - 2), TODAY) is None
