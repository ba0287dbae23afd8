"""Regulars who stopped: those who missed seven working days of their own account."""

from __future__ import annotations

import pytest

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.actors import AGENTS
from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.health.known import known_of
from services.scorer.domain.health.measuring import measures_of
from services.shared.units import DAY_MS
from tests.support.scorer import DAY, PLAN

KINDS = kinds_of(PLAN)
MONDAY = DAY + (4 - DAY % 7) % 7
"""The day after the last closed one. Day 0 was a Thursday."""


def team(*last_days_ago: int, weeks: int = 20, off: frozenset[int] = frozenset()) -> Account:
    """Return an account whose people came on every working day up to so many days ago; `off`: days ago on which nobody came."""
    found = Account("acme", MONDAY, KINDS)
    for person, last in enumerate(last_days_ago, start=1):
        for ago in range(last, 7 * weeks + 1):
            if (MONDAY - ago + 3) % 7 < 5 and ago not in off:
                found.active_users.mark_past(person, MONDAY - ago)
    found.reach(KINDS.milestones["first_activity"], MONDAY - 7 * weeks)
    found.last_active_day = MONDAY - 1
    return found


def gone(found: Account) -> tuple[float, float] | None:
    measures = measures_of(known_of(found, MONDAY * DAY_MS, MONDAY - 1, [1.0] * 36, value_connected=True))
    assert (measures.keys() >= {"regulars", "regulars_gone_share"}) == ("regulars_gone" in measures)
    if "regulars_gone" not in measures:
        return None
    assert measures["regulars_gone_share"] == pytest.approx(measures["regulars_gone"] / measures["regulars"], rel=1e-5)
    return measures["regulars_gone"], measures["regulars"]


@pytest.mark.parametrize(("last_day_ago", "expected"), [(1, None), (10, None), (11, None), (12, (1, 3)), (27, (1, 3))])
def test_a_regular_is_gone_after_seven_working_days(last_day_ago: int, expected: tuple[int, int] | None) -> None:
    assert gone(team(last_day_ago, 1, 1)) == expected


def test_days_on_which_nobody_comes_are_no_working_days() -> None:
    assert gone(team(13, 1, 1)) == (1, 3)
    assert gone(team(13, 1, 1, off=frozenset({4, 5}))) is None


@pytest.mark.parametrize(("there", "expected"), [(2, None), (3, (1, 11))])
def test_a_day_on_which_less_than_a_fifth_of_the_usual_people_come_is_no_working_day(
    there: int, expected: tuple[int, int] | None
) -> None:
    found = team(13, *[1] * 10, off=frozenset({4, 5}))
    for person in range(2, 2 + there):
        for ago in (4, 5):
            found.active_users.mark_past(person, MONDAY - ago)

    assert gone(found) == expected


@pytest.mark.parametrize(("people", "expected"), [(1, None), (2, (1, 4))])
def test_a_weekday_counts_from_half_as_many_people_on_as_on_the_busiest(
    people: int, expected: tuple[int, int] | None
) -> None:
    found = team(11, 1, 1, 1)
    for person in range(2, 2 + people):
        for ago in range(1, 141):
            found.active_users.mark_past(person, MONDAY - ago)

    assert gone(found) == expected


@pytest.mark.parametrize(("weeks", "expected"), [(10, (1, 3)), (9, None)])
def test_who_came_in_ten_of_twelve_weeks_is_a_regular(weeks: int, expected: tuple[int, int] | None) -> None:
    found = team(1, 1)
    for week in range(2, 2 + weeks):
        found.active_users.mark_past(9, MONDAY - 7 * week - 3)

    assert gone(found) == expected


def test_who_never_came_often_is_no_regular() -> None:
    assert gone(team(30, 1, 1, weeks=13)) is None
    visitor = team(1, 1, 1)
    visitor.active_users.mark_past(9, MONDAY - 40)
    assert gone(visitor) is None


def test_who_is_away_by_plan_is_not_gone() -> None:
    found = team(20, 20, 1)
    found.absences = {(1, MONDAY - 18): (MONDAY - 6, 0), (3, MONDAY - 300): (MONDAY + 90, 0)}

    assert gone(found) == (1, 3)


@pytest.mark.parametrize(
    ("first_ago", "last_ago", "expected"),
    [
        (20, 11, None),  # six working days since
        (20, 12, (1, 3)),
        (31, 6, None),  # it began before the days that are looked at
        (60, 40, (1, 3)),  # it was over before them
        (0, -9, (1, 3)),  # it is still to come
        (1, -9, None),  # it began on the last closed day
    ],
)
def test_working_days_are_missed_from_the_end_of_a_planned_absence_on(
    first_ago: int, last_ago: int, expected: tuple[int, int] | None
) -> None:
    found = team(27, 1, 1)
    found.absences = {(1, MONDAY - first_ago): (MONDAY - last_ago, 0)}

    assert gone(found) == expected


def test_agents_are_no_regulars() -> None:
    found = team(1, 1, 1)
    for ago in range(20, 140):
        found.active_users.mark_past(AGENTS | 7, MONDAY - ago)

    assert gone(found) is None
