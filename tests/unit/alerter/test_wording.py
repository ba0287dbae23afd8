"""Values in the texts of signals: rounded as people say them, and never past what a rule compares them with."""

from typing import Any

import pytest

from schemas.measures import Unit
from services.alerter.domain.wording import word
from tests.support.alerter import play

SLOW: dict[str, Any] = {"level_2w": 0.6, "level_1w": 0.6, "chance_low_4w": 0.02}


@pytest.mark.parametrize(("level", "told"), [(0.474, "47 %"), (0.496, "49.6 %"), (0.4996, "49.96 %")])
def test_a_share_that_is_below_a_limit_is_not_told_as_the_limit(level: float, told: str) -> None:
    signal = play([{**SLOW, "level_4w": level}] * 4)[0]

    assert signal["summary"].startswith(f"Use is at {told} of this account's usual level")


def test_a_share_that_is_above_a_limit_is_not_told_as_the_limit() -> None:
    signals = play([{**SLOW, "level_4w": 0.4}] * 4 + [{"level_4w": 0.752}] * 15)

    assert signals[-1]["transition"] == "RESOLVED"
    assert signals[-1]["summary"].startswith("Use is back at 75.2 % of")


def test_a_score_that_is_below_a_limit_is_not_told_as_the_limit() -> None:
    near: dict[str, Any] = {"facts__renewal_day": 20_030, "renewal_in_days": 30, "renewal_window_days": 60}
    signals = play([{**near, "score_tenths": 496, "band": "YELLOW"}] * 3)

    assert "health is at 49.6 of 100" in signals[0]["summary"]


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0.302, Unit.SHARE, "30 %"),
        (0.0042, Unit.CHANCE, "0.4 %"),
        (1.0, Unit.PEOPLE, "1 person"),
        (2.52, Unit.PEOPLE, "2.5 people"),
        (-0.02, Unit.COUNT, "0"),
        (12_345.6, Unit.COUNT, "12,346"),
        (None, Unit.COUNT, "unknown"),
    ],
)
def test_a_value_that_nothing_is_compared_with_is_rounded_as_people_say_it(
    value: float | None, unit: Unit, told: str
) -> None:
    assert word(value, unit) == told
