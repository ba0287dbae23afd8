"""What an account's own calendar leaves of its weeks."""

from __future__ import annotations

from datetime import date

import pytest

from services.scorer.domain.accounts.absences import ACCOUNT
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.daily_counts import ACTIVE
from services.scorer.domain.accounts.facts import Facts
from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.health.known import known_of
from services.scorer.domain.health.measuring import measures_of
from services.scorer.domain.health.own_calendar import FLOOR, calendar_of, with_fleet
from services.shared.plan_file import default_plan
from services.shared.units import DAY_MS, day_number

KINDS = kinds_of(default_plan())
LEVELS = [1.0] * 36


def number(year: int, month: int, day: int) -> int:
    return day_number(date(year, month, day))


SUNDAY = number(2025, 3, 30)
"""Before it there are weeks without any public holiday in Germany."""


def account(
    through: int, country: str | None = None, *, weeks: int = 34, people: int = 5, days_a_week: int = 5
) -> Account:
    """Return an account whose people are active on every working day up to a day, or from Monday on so many days a week."""
    found = Account("acme", through + 1, KINDS)
    for day in range(through + 1 - 7 * weeks, through + 1):
        if (day + 3) % 7 < days_a_week:
            for person in range(people):
                found.active_users.mark_past(person + 1, day)
            found.daily_counts.add(ACTIVE, day, people)
            found.last_active_day = day
    found.reach(0, through + 1 - 7 * weeks)
    if country:
        found.facts = Facts(len(KINDS.facts))
        found.facts.set(KINDS.facts["country"], country, 1)
    return found


def test_without_country_and_absences_there_is_no_calendar() -> None:
    assert calendar_of(account(SUNDAY), SUNDAY, 5) is None
    assert "calendar_level" not in measures_of(
        known_of(account(SUNDAY), (SUNDAY + 1) * DAY_MS, SUNDAY, LEVELS, value_connected=False)
    )


def test_an_ordinary_week_is_whole() -> None:
    found = calendar_of(account(SUNDAY, "DE"), SUNDAY, 5)
    assert found is not None
    assert found.shares[0] == 1
    assert found.holidays_7 == 0


@pytest.mark.parametrize(
    ("country", "sunday", "share"),
    [
        ("DE", number(2025, 10, 5), 0.85),  # Friday, 3 October: a quarter of a day is left
        ("DE", number(2025, 6, 1), 0.75),  # Thursday, 29 May, and half of the Friday
        ("DE", number(2024, 12, 29), 0.6),  # 25 and 26 December, a Wednesday and a Thursday, and half of the Friday
        ("JP", number(2025, 5, 4), 0.45),  # Golden Week: Tuesday a holiday, Monday and Wednesday to Friday bridges
        ("US-CA", number(2025, 10, 19), 1.0),  # Columbus Day is none in California
        ("DE", number(2024, 5, 12), 0.45),  # 1 and 9 May are eight days apart: four bridges and a holiday
        ("AL", number(2024, 3, 31), 1.0),  # 22 and 31 March are nine days apart
        ("BV", SUNDAY, 1.0),  # nobody lives there
        ("FK", SUNDAY, 1.0),  # after its last holiday in the table there would be a bridge
    ],
)
def test_public_holidays_and_the_days_between_them_take_from_a_week(country: str, sunday: int, share: float) -> None:
    found = calendar_of(account(sunday, country), sunday, 5)
    assert found is not None
    assert found.shares[0] == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("sunday", "days"),
    [
        (number(2024, 12, 29), 5.0),  # two holidays, a bridge, and a weekend before New Year's Day
        (number(2026, 10, 4), 6.25),  # Saturday, 3 October
    ],
)
def test_an_account_that_works_all_week_is_expected_at_weekends_but_for_public_holidays(
    sunday: int, days: float
) -> None:
    found = calendar_of(account(sunday, "DE", days_a_week=7), sunday, 5)
    assert found is not None
    assert found.shares[0] == pytest.approx(days / 7, abs=0.01)


@pytest.mark.parametrize(
    ("country", "sunday", "left"),
    [
        ("DE", number(2025, 10, 5), 4.45),  # a Friday
        ("DE", number(2025, 4, 27), 4.45),  # Easter Monday
        ("DE", number(2026, 10, 4), 5.125),  # a Saturday
        ("EG", number(2025, 4, 20), 4.7),  # half of the Sunday between their weekend and a holiday
    ],
)
def test_an_account_without_a_past_is_taken_to_work_when_its_country_does(
    country: str, sunday: int, left: float
) -> None:
    found = calendar_of(account(sunday, country, weeks=0), sunday, 5)
    assert found is not None
    assert found.shares[0] == pytest.approx(left / 5.2)


def test_two_weeks_such_as_its_country_has_count_beside_the_past_of_an_account() -> None:
    sunday = number(2026, 10, 4)  # after a public holiday on a Saturday
    found = calendar_of(account(sunday, "DE", weeks=1, people=1, days_a_week=7), sunday, 1)
    assert found is not None
    assert found.shares[0] == pytest.approx((15 + 0.25 * 1.2 + 1.2) / 17.4)


def test_a_week_of_a_planned_absence_leaves_next_to_nothing_and_its_days_are_not_silent() -> None:
    acme = account(SUNDAY - 7)
    acme.absences = {(ACCOUNT, SUNDAY - 6): (SUNDAY, 1)}
    found = calendar_of(acme, SUNDAY, 5)
    assert found is not None
    assert found.shares[0] == FLOOR
    assert found.shares[1] == 1
    values = measures_of(known_of(acme, (SUNDAY + 1) * DAY_MS, SUNDAY, LEVELS, value_connected=False))
    assert len(found.off) == 7
    assert (values["calendar_level"], values["absence_days_left"], values["silent_days"]) == (0, 0, 2)
    assert values["level_2w"] == pytest.approx(1, abs=0.05)


def test_a_person_who_is_away_takes_his_share_and_keeps_no_rule_back() -> None:
    acme = account(SUNDAY)
    acme.absences = {(2, SUNDAY - 6): (SUNDAY, 1)}
    found = calendar_of(acme, SUNDAY, 5)
    assert found is not None
    assert found.shares[0] == pytest.approx(0.8)
    assert (found.off, found.absent_until) == (frozenset(), None)


def test_colleagues_who_do_not_use_the_product_take_nothing_when_they_are_away() -> None:
    """A calendar of a whole company would leave next to nothing to be expected, and hold every alarm of use."""
    acme = account(SUNDAY)
    acme.absences = {(colleague, SUNDAY - 6): (SUNDAY, 1) for colleague in range(70, 80)} | {(2, SUNDAY): (SUNDAY, 1)}

    values = measures_of(known_of(acme, (SUNDAY + 1) * DAY_MS, SUNDAY, LEVELS, value_connected=False))

    assert values["calendar_level"] == pytest.approx(1, abs=0.01)
    assert values["expected_1w"] == pytest.approx(25, abs=0.1)


def test_a_person_whose_absences_overlap_is_away_once() -> None:
    acme = account(SUNDAY)
    acme.absences = {(2, SUNDAY - 9): (SUNDAY, 1), (2, SUNDAY - 6): (SUNDAY + 3, 2), (3, SUNDAY - 6): (SUNDAY, 1)}
    found = calendar_of(acme, SUNDAY, 5)
    assert found is not None
    assert found.shares[0] == pytest.approx(0.6)


@pytest.mark.parametrize("second", [SUNDAY - 2, SUNDAY + 1])
def test_absences_of_the_account_that_meet_last_until_the_end_of_the_later_one(second: int) -> None:
    acme = account(SUNDAY - 7)
    acme.absences = {(ACCOUNT, SUNDAY - 6): (SUNDAY, 1), (ACCOUNT, second): (SUNDAY + 8, 2)}
    found = calendar_of(acme, SUNDAY, 5)
    assert found is not None
    assert (found.absent_from, found.absent_until) == (SUNDAY - 6, SUNDAY + 8)


def test_the_only_person_who_is_away_is_the_whole_account_but_for_the_floor() -> None:
    acme = account(SUNDAY, people=1)
    acme.absences = {(1, SUNDAY - 6): (SUNDAY, 1)}
    found = calendar_of(acme, SUNDAY, 1)
    assert found is not None
    assert found.shares[0] == FLOOR


def test_an_absence_shows_from_the_eve_of_its_first_day_to_its_last() -> None:
    for first, last, shows in ((SUNDAY + 2, SUNDAY + 9, False), (SUNDAY + 1, SUNDAY + 9, True), (SUNDAY - 5, SUNDAY, True), (SUNDAY - 6, SUNDAY - 1, False)):  # fmt: skip
        acme = account(SUNDAY)
        acme.absences = {(ACCOUNT, first): (last, 1)}
        found = calendar_of(acme, SUNDAY, 5)
        assert found is not None
        assert (found.absent_from == first) is shows


@pytest.mark.parametrize(
    ("first", "last", "shares"),
    [
        (-2, 30, {0: 0.8, 1: 1}),  # from Friday on, and not over yet
        (-13, -11, {0: 1, 1: 0.4, 2: 1}),  # Monday to Wednesday of the week before
        (-300, -245, {34: 1, 35: FLOOR}),  # it began before all days that are remembered
    ],
)
def test_an_absence_takes_its_own_days_and_no_others(first: int, last: int, shares: dict[int, float]) -> None:
    acme = account(SUNDAY)
    acme.absences = {(ACCOUNT, SUNDAY + first): (SUNDAY + last, 1)}
    found = calendar_of(acme, SUNDAY, 5)
    assert found is not None
    assert {week: found.shares[week] for week in shares} == pytest.approx(shares, abs=0.02)


@pytest.mark.parametrize("first", [SUNDAY - 30, SUNDAY - 9, SUNDAY - 8])
def test_days_off_are_those_of_an_absence_after_the_last_active_day(first: int) -> None:
    acme = account(SUNDAY - 7)
    acme.absences = {(ACCOUNT, first): (SUNDAY - 3, 1)}
    found = calendar_of(acme, SUNDAY, 5)
    assert found is not None
    assert (acme.last_active_day, found.off) == (SUNDAY - 9, frozenset(range(SUNDAY - 8, SUNDAY - 2)))


def test_without_a_country_weekends_are_saturday_and_sunday() -> None:
    acme = account(SUNDAY, weeks=0)
    acme.absences = {(ACCOUNT, SUNDAY - 1): (SUNDAY, 1)}
    found = calendar_of(acme, SUNDAY, 5)
    assert found is not None
    assert found.shares[0] == pytest.approx(5 / 5.2)


def test_who_is_away_while_the_whole_account_is_takes_nothing_of_other_days() -> None:
    acme = account(SUNDAY)
    monday = SUNDAY - 6
    acme.absences = {(ACCOUNT, monday): (monday, 1), (2, monday): (monday, 1), (3, monday): (monday, 1)}
    found = calendar_of(acme, SUNDAY, 5)
    assert found is not None
    assert found.shares[0] == pytest.approx(0.8, abs=0.02)


def test_a_public_holiday_on_which_somebody_came_is_no_day_off_of_the_silence_after_it() -> None:
    holiday = number(2025, 10, 3)
    acme = account(holiday, "DE")
    acme.daily_counts.advance(holiday + 9)
    found = calendar_of(acme, holiday + 9, 5)
    assert found is not None
    assert (acme.last_active_day, found.off) == (holiday, frozenset())


@pytest.mark.parametrize(("later", "holidays"), [(0, 1), (6, 1), (7, 0)])
def test_a_public_holiday_is_told_for_seven_days(later: int, holidays: int) -> None:
    day = number(2025, 10, 3) + later
    found = calendar_of(account(day, "DE"), day, 5)
    assert found is not None
    assert found.holidays_7 == holidays


def test_a_holiday_that_the_fleet_shows_too_is_not_taken_off_twice() -> None:
    acme = account(number(2025, 10, 5), "DE")
    calendar = calendar_of(acme, number(2025, 10, 5), 5)
    assert calendar is not None

    assert with_fleet(calendar, [0.5, *LEVELS[1:]])[0] == 0.5
    assert with_fleet(calendar, [0.9, *LEVELS[1:]])[0] == pytest.approx(calendar.shares[0])
    assert with_fleet(calendar, [1.2, 1.2, *LEVELS[2:]])[1] == 1.2
    assert with_fleet(None, LEVELS) == LEVELS


@pytest.mark.parametrize(
    ("sunday", "shares"),
    [
        (number(2020, 1, 5), [0.85, 1.0]),  # New Year's Day is the first holiday of the table
        (number(2036, 1, 6), [1.0, 0.6, 1.0]),  # Christmas has the last ones
    ],
)
def test_at_the_ends_of_the_table_its_own_days_count(sunday: int, shares: list[float]) -> None:
    found = calendar_of(account(sunday, "DE"), sunday, 5)
    assert found is not None
    assert found.shares[: len(shares)] == pytest.approx(shares, abs=0.02)


def test_outside_the_years_of_the_table_every_week_is_whole() -> None:
    for sunday in (number(2001, 12, 30), number(2050, 12, 25)):
        found = calendar_of(account(sunday, "DE"), sunday, 5)
        assert found is not None
        assert set(found.shares) == {1.0}
