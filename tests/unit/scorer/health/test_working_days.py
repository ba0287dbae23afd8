"""A week of working days missed is a silence of a team, one more of fewer people; without holidays and planned absences."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from services.scorer.domain.accounts.absences import ACCOUNT
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.daily_counts import ACTIVE, SPAN
from services.scorer.domain.accounts.facts import Facts
from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.health.known import known_of
from services.scorer.domain.health.measuring import measures_of
from services.scorer.domain.health.working_days import missed_after
from services.shared.plan_file import default_plan
from services.shared.units import DAY_MS, day_number

KINDS = kinds_of(default_plan())


def number(year: int, month: int, day: int) -> int:
    return day_number(date(year, month, day))


SUNDAY = number(2025, 3, 30)


def account(
    last: int = SUNDAY,
    *,
    people: int = 3,
    weeks: int = 20,
    weekdays: frozenset[int] = frozenset(range(5)),
    every: int = 1,
) -> Account:
    """Return an account with activity on these weekdays of every so many-th week, up to a day; Monday is 0."""
    found = Account("acme", last + 1, KINDS)
    found.reach(KINDS.milestones["first_activity"], last + 1 - 7 * weeks)
    for ago in range(7 * weeks - 1, -1, -1):
        day = last - ago
        if (day + 3) % 7 in weekdays and ago // 7 % every == 0:
            for person in range(1, people + 1):
                found.active_users.mark_past(person, day)
            found.daily_counts.add(ACTIVE, day, people)
            found.last_active_day = day
    return found


def limit(found: Account, day: int) -> float:
    found.daily_counts.advance(day)
    return measures_of(known_of(found, (day + 1) * DAY_MS, day, [1.0] * 36, value_connected=True))["silence_limit_days"]


def first_day_beyond(found: Account) -> int:
    """Return how many days after its last active one an account's silence goes beyond its limit."""
    last = found.last_active_day
    for later in range(1, 60):
        day = last + later
        found.daily_counts.advance(day)
        values = measures_of(known_of(found, (day + 1) * DAY_MS, day, [1.0] * 36, value_connected=True))
        if values["silent_days"] > values["silence_limit_days"]:
            return later
    return 60


@pytest.mark.parametrize(
    ("weekday", "days"),
    [(0, 8), (1, 8), (2, 8), (3, 8), (4, 10)],  # a Friday is followed by a weekend before the first day missed
)
def test_the_sixth_working_day_missed_by_three_people_is_beyond_the_limit(weekday: int, days: int) -> None:
    assert first_day_beyond(account(SUNDAY + 1 + weekday)) == days


@pytest.mark.parametrize("weekday", range(5))
def test_of_a_team_the_fifth_is_a_week_after_its_last_day(weekday: int) -> None:
    assert first_day_beyond(account(SUNDAY + 1 + weekday, people=4)) == 7


@pytest.mark.parametrize("weekday", range(7))
def test_a_week_of_leave_of_three_people_is_within_the_limit_whatever_day_it_begins_on(weekday: int) -> None:
    last = SUNDAY + weekday  # it is away for the seven days after this one
    found = account(last)
    assert found.last_active_day + first_day_beyond(found) > last + 7


def test_who_comes_on_all_days_is_asked_for_a_week_and_of_three_people_for_one_day_more() -> None:
    assert first_day_beyond(account(weekdays=frozenset(range(7)))) == 8
    assert first_day_beyond(account(people=4, weekdays=frozenset(range(7)))) == 7


def test_working_days_are_those_of_the_account() -> None:
    only = account(weekdays=frozenset({0, 1, 2}))
    assert (limit(only, SUNDAY), first_day_beyond(only)) == (11, 12)  # three of its pauses, and four working days


def test_who_comes_in_every_other_week_has_no_working_days() -> None:
    assert missed(account(every=2), 40) is None


@pytest.mark.parametrize(("weeks", "before"), [(9, 6), (8, None)])
def test_a_weekday_is_a_working_day_from_nine_of_twelve_weeks_on(weeks: int, before: int | None) -> None:
    days = np.zeros((12, 7), np.int64)
    days[:, 2:] = 4
    days[weeks:, 3] = 0
    active = np.concatenate([np.zeros(SPAN - 91, np.int64), days.reshape(-1), np.zeros(7, np.int64)])

    assert missed_after(active, 7, 7 * 20, (), people=4) == before


def test_a_young_account_has_no_working_days_yet() -> None:
    assert missed(account(weeks=12), 11) is None
    assert missed(account(weeks=13), 11) == 9


def test_use_before_the_go_live_says_nothing() -> None:
    found = account()
    found.facts = Facts(len(KINDS.facts))
    found.facts.set(KINDS.facts["go_live_day"], SUNDAY - 70, 1)
    assert missed(found, 11) is None


def test_a_public_holiday_is_neither_a_working_day_nor_silent() -> None:
    before = number(2025, 4, 27)  # Thursday, 1 May, is a holiday
    found = account(before)
    found.facts = Facts(len(KINDS.facts))
    found.facts.set(KINDS.facts["country"], "DE", 1)
    assert (missed(found, 10), missed(found, 11)) == (None, 9)


def test_a_planned_absence_of_the_account_does_not_count() -> None:
    found = account()
    found.absences = {(ACCOUNT, SUNDAY + 1): (SUNDAY + 7, 0)}
    assert (missed(found, 16), missed(found, 17)) == (None, 9)


def test_nothing_is_said_of_a_silence_before_which_days_are_not_known() -> None:
    assert missed(account(), 172) == 9
    assert missed(account(), 173) is None


def missed(found: Account, later: int) -> int | None:
    """Return what is said so many days after the last active one."""
    day = found.last_active_day + later
    found.daily_counts.advance(day)
    return known_of(found, (day + 1) * DAY_MS, day, [1.0] * 36, value_connected=True).usage.missed_after
