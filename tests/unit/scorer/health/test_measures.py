"""Each measure: what it says of an account, and when it is not known."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.measures import MEASURES
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.actors import AGENTS
from services.scorer.domain.accounts.daily_counts import ACTIVE
from services.scorer.domain.accounts.facts import Facts
from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.health.known import known_of
from services.scorer.domain.health.measuring import RECORDS, ROOMS, measures_of, not_taken
from services.shared.tracking_plan.reading import read_plan
from services.shared.units import DAY_MS
from tests.support.plans import default_without
from tests.support.scorer import DAY, PLAN, at

LEVELS = [1.0] * 36
KINDS = kinds_of(PLAN)


def account(weeks: int = 40, people: int = 5, **facts: Any) -> Account:
    """Return an account with so many people active each day, for so many weeks up to the day before the first test day."""
    found = Account("acme", DAY, KINDS)
    for day in range(DAY - min(7 * weeks, 250), DAY):
        for person in range(people):
            found.active_users.mark_past(person, day)
        found.daily_counts.add(ACTIVE, day, people)
    if weeks:
        found.reach(KINDS.milestones["first_activity"], DAY - 7 * weeks)
        found.last_active_day = DAY - 1
    if facts:
        found.facts = Facts(len(KINDS.facts))
        for name, value in facts.items():
            found.facts.set(KINDS.facts[name], value, 1)
    return found


def measured(found: Account, levels: list[float] = LEVELS, hours: float = 0) -> dict[str, float]:
    return measures_of(known_of(found, at(0, hours), DAY - 1, levels, value_connected=True))


def test_every_record_has_a_function_in_the_module_of_its_dimension() -> None:
    for record in RECORDS.values():
        room = next(room for room in ROOMS if room.__name__.endswith(f".{record.dimension}"))
        name = record.name if hasattr(room, record.name) else record.name.rpartition("_")[0]
        assert hasattr(room, name), record.name


def test_the_default_plan_declares_all_that_the_measures_need_but_what_only_the_product_knows() -> None:
    needed = {need for record in RECORDS.values() for need in record.needs}

    assert needed - kinds_of(PLAN).state == {"people.features", "people.roles"}


def test_what_the_plan_declares_no_state_for_is_not_measured_at_all() -> None:
    plan = read_plan(default_without("cases.", "answers."))
    bare = Account("acme", DAY, kinds_of(plan))

    found = measures_of(known_of(bare, at(0), DAY - 1, LEVELS, value_connected=True))

    missing = not_taken(kinds_of(plan).state)
    assert missing["tickets_open"] == ["cases.tickets"]
    assert {RECORDS[name].dimension for name in missing.keys() - not_taken(KINDS.state)} == {"support", "sentiment"}
    assert found.keys() & missing.keys() == set()


def test_a_snapshot_lists_measures_in_the_order_of_their_numbers() -> None:
    names = list(measured(account(seats=10, revenue=5.0)))

    assert names == sorted(names, key=lambda name: MEASURES[name].number)


def test_a_steady_account_is_at_its_usual_level() -> None:
    found = measured(account())

    assert found["level_12w"] == found["level_4w"] == found["level_1w"] == 1
    assert (found["user_days_4w"], found["expected_4w"]) == (140, 140)
    assert (found["active_users_28"], found["active_users_level"], found["active_users_lost"]) == (5, 1, 0)
    assert (found["age_days"], found["baseline_weeks"], found["learning"]) == (279, 30, 0)
    assert (found["silent_days"], found["silence_level"], found["silence_limit_days"]) == (0, 0, 7)


def test_a_silence_is_held_against_its_limit() -> None:
    quiet = account()

    found = measures_of(known_of(quiet, at(15), DAY + 14, LEVELS, value_connected=True))

    assert (found["silent_days"], found["silence_limit_days"], found["silence_level"]) == (15, 6, 2.5)


def test_an_account_that_agents_alone_use_has_no_people_to_be_expected() -> None:
    served = Account("acme", DAY, KINDS)
    for day in range(DAY - 200, DAY):
        served.active_users.mark_past(AGENTS, day)
        served.daily_counts.add(ACTIVE, day, 1)
    served.reach(KINDS.milestones["first_activity"], DAY - 200)
    served.last_active_day = DAY - 1

    found = measured(served)

    assert (found["usual_week"], found["people_share_4w"]) == (7, 0)
    assert {"days_per_person", "active_users_28_expected", "active_users_lost"} & found.keys() == set()


def test_what_rests_on_a_usual_level_is_not_known_of_a_young_account() -> None:
    accounts = account(weeks=11), account(weeks=12)
    for each in accounts:
        each.active_users.mark_past(AGENTS, DAY - 1)  # an agent, so that who acts is known too
    young, old = map(measured, accounts)

    assert young["learning"] == 1
    assert old["learning"] == 0
    of_usual = {name for name, record in RECORDS.items() if record.evidence.get("baseline_weeks")}
    assert of_usual & young.keys() == set()
    assert of_usual - {"taken_over_4w"} <= old.keys()  # which is of people who do less than usual


def test_an_account_that_is_gone_does_not_come_to_its_usual_level_once_nothing_is_usual() -> None:
    """With nothing expected, nothing at all would read as 100 %, and the health of who is long gone would rise."""
    gone = account(people=1)

    def level(days: int) -> float | None:
        known = known_of(gone, at(days), DAY - 1 + days, LEVELS, value_connected=True)
        return measures_of(known).get("level_4w")

    levels = [level(days) for days in range(28, 300)]

    assert max(each for each in levels if each is not None) < 0.6
    assert levels[-60:] == [None] * 60


def test_of_an_account_that_was_never_active_nothing_is_said_about_its_use() -> None:
    found = measured(account(weeks=0))

    assert {"silent_days", "silence_level", "age_days", "active_users_28", "level_4w"} & found.keys() == set()
    assert (found["events_28"], found["tickets_open"]) == (0, 0)


@pytest.mark.parametrize(("level", "people"), [(1.0, 5.0), (0.75, 3.75), (1.25, 5.0)])
def test_holidays_of_all_customers_lower_the_people_to_be_expected_and_busy_weeks_make_no_more(
    level: float, people: float
) -> None:
    found = measured(account(), [level] * 4 + [1.0] * 32)

    assert found["active_users_28_expected"] == people
    assert found["active_users_level"] == pytest.approx(5 / people, rel=1e-5)
    assert found["active_users_lost"] == pytest.approx(people - 5)
    assert found["fleet_level"] == level


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, {}),
        ({"seats": 0}, {}),
        ({"seats": 10, "revenue": 1_234_567.89}, {"seats": 10, "seat_use": 0.5, "revenue": 1_234_567.89}),
        (
            {"renewal_day": DAY + 60},
            {"renewal_in_days": 60, "renewal_overdue_days": 0, "renewal_window_days": 90},
        ),
        (
            {"renewal_day": DAY - 3, "contract_start_day": DAY - 33},
            {"renewal_in_days": -3, "renewal_overdue_days": 3, "renewal_window_days": 7},
        ),
    ],
)
def test_what_facts_say_is_known_once_they_are(facts: dict[str, Any], expected: dict[str, float]) -> None:
    names = {"seats", "seat_use", "revenue"} | {
        name for name, record in RECORDS.items() if record.dimension == "renewal"
    }

    found = measured(account(**facts))

    assert {name: value for name, value in found.items() if name in names} == expected


@pytest.mark.parametrize(("term_days", "window"), [(365, 90), (46, 90), (45, 7), (1, 7), (0, 90), (-300, 90)])
def test_only_a_contract_of_a_month_has_a_renewal_window_of_a_week(term_days: int, window: int) -> None:
    found = measured(account(contract_start_day=DAY + 20 - term_days, renewal_day=DAY + 20))

    assert found["renewal_window_days"] == window


def test_an_answer_counts_while_it_is_fresh() -> None:
    asked = account()
    asked.answers_of(0)["ann"] = (at(0) - 89 * DAY_MS, 3)
    old = account()
    old.answers_of(0)["ann"] = (at(0) - 120 * DAY_MS, 3)
    gone = account()
    gone.answers_of(0)["ann"] = (at(0) - 181 * DAY_MS, 3)
    names = ("survey_responses", "survey_mean", "detractors", "lowest_answer")

    assert [[measured(each).get(name) for name in names] for each in (asked, old, gone)] == [
        [1, 3, 1, 3],
        [1, 3, 0, None],
        [0, None, 0, None],
    ]


def test_the_newest_answer_of_an_account_tells_how_long_ago_the_last_one_was() -> None:
    answered = account()
    answered.answers_of(0).update({"ann": (at(-120), 3), "ben": (at(-12, 15), 9)})

    assert measured(answered)["answer_age_days"] == 12
    assert measured(answered, hours=23)["answer_age_days"] == 12


def test_an_answer_of_today_is_no_days_old_whatever_its_hour() -> None:
    answered = account()
    answered.answers_of(0)["ann"] = (at(0, 9), 7)
    early = account()
    early.answers_of(0)["ann"] = (at(1), 7)

    assert [measured(each, hours=20)["answer_age_days"] for each in (answered, early)] == [0, 0]


def test_without_an_answer_of_the_last_180_days_the_age_of_the_newest_is_not_known() -> None:
    old, gone = account(), account()
    old.answers_of(0)["ann"] = (at(-180), 7)
    gone.answers_of(0)["ann"] = (at(-180) - 1, 7)

    assert measured(old)["answer_age_days"] == 180
    assert "answer_age_days" not in measured(gone)
    assert "answer_age_days" not in measured(account())


def test_tickets_are_measured_by_number_and_age() -> None:
    helped = account()
    tickets = {"a": (at(0) - 2 * DAY_MS, 0), "b": (at(0) - 4 * DAY_MS, 0), "c": (at(0) - 9 * DAY_MS, at(0) - 1)}
    helped.cases_of(0).update(tickets)

    found = measured(helped)

    assert (found["tickets_open"], found["oldest_ticket_days"], found["median_ticket_hours"]) == (2, 4, 72)
    none_open = measured(account())
    assert (none_open["tickets_open"], none_open["oldest_ticket_days"]) == (0, 0)
    assert "median_ticket_hours" not in none_open


def test_days_without_value_are_counted_until_the_first_and_in_the_first_two_stages_only() -> None:
    waiting, reached, grown = account(weeks=4), account(weeks=4), account(weeks=20)
    reached.reach(KINDS.milestones["first_value"], DAY - 3)

    assert measured(waiting)["days_without_value"] == 28
    assert measured(waiting)["onboarding"] == 1
    assert measured(reached)["days_without_value"] == 0
    assert measured(reached)["value_weeks_4"] == 0
    assert "value_weeks_4" not in measured(waiting)
    assert "days_without_value" not in measured(grown)


def test_the_contract_of_the_next_term_makes_no_beginner_of_an_account() -> None:
    """In onboarding, days without value count 40 % of the score, and no silence caps it."""
    grown = account(weeks=40, contract_start_day=DAY + 30)

    found = measured(grown)

    assert found["onboarding"] == 0
    assert "days_without_value" not in found


def test_a_start_that_moves_on_with_each_term_makes_no_beginner_of_an_account_again() -> None:
    """Such a customer of years whose contract was renewed yesterday, or is renewed each month."""
    grown = account(weeks=40, contract_start_day=DAY - 366)
    for start in (DAY - 31, DAY - 1):
        grown.facts.set(KINDS.facts["contract_start_day"], start, start * DAY_MS)  # type: ignore[union-attr]

    known = known_of(grown, at(0), DAY - 1, LEVELS, value_connected=True)

    assert (known.stage, known.started) == ("ONGOING", DAY - 366)
    assert known.facts["contract_start_day"] == DAY - 1


def test_the_ages_of_tickets_move_with_the_day_and_not_with_the_hour() -> None:
    helped = account()
    helped.cases_of(KINDS.cases["tickets"])["a"] = (at(0) - 2 * DAY_MS, 0)

    assert measured(helped, hours=1) == measured(helped, hours=23)


def test_without_a_milestone_value_is_proven_by_its_rhythm_and_without_events_of_value_by_use() -> None:
    rhythm = Account("acme", DAY, kinds_of(read_plan(default_without("milestones."))))
    plain = Account("acme", DAY, kinds_of(read_plan(default_without("counts.", "milestones."))))
    for found in (rhythm, plain):
        for day in range(DAY - 200, DAY):
            found.active_users.mark_past(1, day)
            found.daily_counts.add(ACTIVE, day, 1)
        found.reach(0, DAY - 200)
        found.last_active_day = DAY - 1
    for day in range(DAY - 28, DAY):
        rhythm.daily_counts.add(rhythm.kinds.counts["value"], day, 1)

    for found, connected in ((rhythm, True), (plain, False)):
        values = measures_of(known_of(found, at(0), DAY - 1, LEVELS, value_connected=connected))
        assert values["value_proven"] == 1
        assert "onboarding" in values


@pytest.mark.parametrize(("weeks", "reached", "proven"), [(3, True, 1), (2, True, 0), (4, False, 0)])
def test_value_is_proven_by_its_first_time_and_three_of_four_weeks(weeks: int, reached: bool, proven: int) -> None:
    found = account()
    for week in range(weeks):
        found.daily_counts.add(KINDS.counts["value"], DAY - 1 - 7 * week, 1)
    if reached:
        found.reach(KINDS.milestones["first_value"], DAY - 100)

    assert measured(found)["value_proven"] == proven


@pytest.mark.parametrize(("days", "proven"), [(0, 1), (7, 0)])
def test_without_events_of_value_it_is_proven_by_use_as_usual(days: int, proven: int) -> None:
    found = measures_of(known_of(account(), at(days), DAY - 1 + days, LEVELS, value_connected=False))

    assert found["value_proven"] == proven


@pytest.mark.parametrize("revenue", [0.1, 999.99, 1_234.56, 12_345.67, 99_999.99, 1_234_567.89, 1e15])
def test_money_is_told_to_the_penny(revenue: float) -> None:
    assert measured(account(revenue=revenue))["revenue"] == revenue


def test_an_account_whose_first_activity_is_of_today_is_no_days_old() -> None:
    new = account(weeks=0)
    new.reach(KINDS.milestones["first_activity"], DAY)
    new.last_active_day = DAY

    assert (measured(new)["age_days"], measured(new)["silent_days"]) == (0, 0)
