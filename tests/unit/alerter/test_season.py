"""How many people are to be expected follows what all customers do at that time of the year."""

from __future__ import annotations

import pytest

from services.alerter.domain.measures import measures_of
from services.alerter.testing import snapshot


@pytest.mark.parametrize(
    ("user_days_expected", "people_expected"),
    [
        (40.0, 10.0),  # four usual weeks of ten
        (30.0, 7.5),  # one week in four everybody is away
        (50.0, 10.0),  # busy weeks of all customers make no more people
        (0.0, 10.0),  # nothing is known
    ],
)
def test_holidays_of_all_customers_lower_the_people_to_be_expected(
    user_days_expected: float, people_expected: float
) -> None:
    measures = measures_of(
        snapshot(
            expected_4w=user_days_expected,
            usage__usual_week=10.0,
            usage__active_users_28=6,
            usage__active_users_28_usual=10.0,
        )
    )

    assert measures["active_users_28_expected"] == people_expected
    assert measures["people_level"] == 6 / people_expected
    assert measures["people_lost"] == people_expected - 6
