"""What a week away is to accounts that have worked on the same weekdays for twelve weeks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.accounts.daily_counts import SPAN
from services.scorer.domain.health.working_days import CAME, MISSED, TEAM, WEEKS, missed_after

WEEKDAYS = st.frozensets(st.integers(0, 6), min_size=1)
PEOPLE = st.floats(0.5, 60)


def worked(weekdays: frozenset[int], away: range) -> npt.NDArray[np.int64]:
    """Return the days of who works on these weekdays, but for those on which it is away."""
    return np.array([day % 7 in weekdays and day not in away for day in range(SPAN)], np.int64)


@given(WEEKDAYS, st.integers(100, 106))
def test_a_week_away_is_within_the_limit_of_three_people(weekdays: frozenset[int], first: int) -> None:
    days = worked(weekdays, range(first, first + 7))
    last = int(np.flatnonzero(days[:first])[-1])
    back = first + 7 + int(np.flatnonzero(days[first + 7 :])[0])
    for day in range(first, back):
        until = np.concatenate([np.zeros(SPAN - day - 1, np.int64), days[: day + 1]])

        assert missed_after(until, day - last, day + 1, (), TEAM) is None


@given(WEEKDAYS, st.integers(100, 106), PEOPLE)
def test_who_stops_is_beyond_it_within_the_weeks_that_six_working_days_take(
    weekdays: frozenset[int], first: int, people: float
) -> None:
    days = worked(weekdays, range(first, SPAN))
    silent = SPAN - 1 - int(np.flatnonzero(days)[-1])
    found = missed_after(days, silent, SPAN, (), people)

    assert found is not None
    assert 6 <= found < 7 * (6 // len(weekdays) + 2)


@given(WEEKDAYS, st.integers(100, 106))
def test_of_a_team_it_takes_less_time_than_of_three_people(weekdays: frozenset[int], first: int) -> None:
    days = worked(weekdays, range(first, SPAN))
    silent = SPAN - 1 - int(np.flatnonzero(days)[-1])
    team, three = (missed_after(days, silent, SPAN, (), people) for people in (TEAM + 0.5, TEAM))

    assert team is not None
    assert three is not None
    assert team < three


def plainly(days: list[int], silent: int, off: set[int], people: float) -> int | None:
    """Walk through a silence day by day; `off` are days of it, 1 for the first."""
    before = days[: len(days) - silent]
    came = [sum(before[-7 * week + place] > 0 for week in range(1, WEEKS + 1)) for place in range(7)]
    enough = max(MISSED, sum(weeks >= CAME for weeks in came)) + (people <= TEAM)
    missed = counted = 0
    for day in range(1, silent + 1):
        if day in off:
            continue
        if came[(day - 1) % 7] >= CAME:
            missed += 1
            if missed == enough:
                return counted
        counted += 1
    return None


@given(WEEKDAYS, st.sets(st.integers(0, SPAN - 1), max_size=40), st.integers(0, 60), st.data())
def test_days_off_are_neither_missed_nor_silent(
    weekdays: frozenset[int], others: set[int], silent: int, data: st.DataObject
) -> None:
    days = worked(weekdays, range(SPAN - silent, SPAN))
    for day in others:
        if day < SPAN - silent:
            days[day] = 1 - days[day]
    off = data.draw(st.sets(st.integers(1, max(1, silent)), max_size=20))
    people = data.draw(PEOPLE)

    assert missed_after(days, silent, SPAN, sorted(off), people) == plainly(days.tolist(), silent, off, people)


def test_five_working_days_in_a_row_are_enough_of_a_team() -> None:
    days = worked(frozenset(day % 7 for day in range(SPAN - 5, SPAN)), range(SPAN - 5, SPAN))

    assert missed_after(days, 5, SPAN, (), TEAM + 1) == 4
    assert missed_after(days, 5, SPAN, (), TEAM) is None
