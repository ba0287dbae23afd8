"""How long an account may be silent: 25 days, and less where everybody works with the product day by day."""

from __future__ import annotations

import pytest

from services.scorer.domain.health.usage import silence_limit


@pytest.mark.parametrize(
    ("usual_week", "days_per_person", "long_pause", "limit"),
    [
        (50.0, 2.0, 1, 7),
        (10.0, 2.0, 3, 9),
        (2.5, 1.5, 4, 11),
        (2.5, 1.5, 0, 7),
        (2.4, 2.4, 3, 25),
        (50.0, 1.4, 1, 25),
        (5.0, 2.5, 6, 25),
        (1.0, 1.0, 40, 25),
        (0.0, 0.0, 0, 25),
    ],
)
def test_the_limit_is_short_only_where_each_person_works_with_it_on_most_days(
    usual_week: float, days_per_person: float, long_pause: int, limit: int
) -> None:
    assert silence_limit(usual_week, days_per_person, long_pause) == limit


@pytest.mark.parametrize(
    ("usual_week", "days_per_person", "long_pause", "missed_after", "limit"),
    [
        (10.0, 2.0, 3, 7, 7),
        (10.0, 2.0, 3, 6, 6),
        (10.0, 2.0, 3, 9, 9),
        (10.0, 2.0, 3, 13, 9),
        (5.0, 2.5, 6, 12, 12),
        (50.0, 1.4, 1, 7, 25),
        (2.4, 2.4, 3, 7, 25),
    ],
)
def test_working_days_missed_shorten_it_there(
    usual_week: float, days_per_person: float, long_pause: int, missed_after: int, limit: int
) -> None:
    assert silence_limit(usual_week, days_per_person, long_pause, missed_after) == limit
