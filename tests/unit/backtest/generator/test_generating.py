"""The generated histories: what a reader of them may rely on."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date
from itertools import pairwise
from statistics import mean

import holidays
import pytest

from services.backtest.generator import AccountStory, Generated, generate
from services.backtest.generator.parameters import parameters
from services.shared.units import day_number, day_of

ACCOUNTS, DAYS = 120, 500


@pytest.fixture(scope="module")
def generated() -> Generated:
    return generate(3, ACCOUNTS, DAYS)


@pytest.fixture(scope="module")
def active(generated: Generated) -> dict[str, set[tuple[int, str]]]:
    """Day and user of what people, agents and integrations did, by account."""
    seen: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for event in generated.events:
        if event.name != "Planned Absence":
            seen[event.account].add((day_of(event.at_ms), event.user))
    return seen


@pytest.fixture(scope="module")
def user_days(active: dict[str, set[tuple[int, str]]]) -> dict[str, Counter[int]]:
    """Active people of each day by account; agents and integrations are left out."""
    return {
        account: Counter(day for day, user in days if not user.endswith(("-agent", "-api")))
        for account, days in active.items()
    }


def stories(generated: Generated, storyline: str, kind: str | None = None) -> list[AccountStory]:
    found = [s for s in generated.truth.stories if s.storyline == storyline and kind in {None, s.kind}]
    assert found
    return found


def a_week(days: Counter[int], first: int, last: int) -> float:
    """Return the active user-days a week from first to last, both included."""
    return 7 * sum(days[day] for day in range(first, last + 1)) / (last + 1 - first)


def test_events_come_in_time_order_and_within_the_history(generated: Generated) -> None:
    times = [event.at_ms for event in generated.events]
    assert all(before <= after for before, after in pairwise(times))
    assert generated.truth.first_day <= day_of(times[0])
    assert day_of(times[-1]) < generated.truth.first_day + DAYS
    assert len(times) == len(generated.events)


def test_events_can_be_read_again(generated: Generated) -> None:
    first, second = iter(generated.events), iter(generated.events)
    assert all(next(first) == next(second) for _ in range(1000))


def test_another_seed_is_another_history(generated: Generated) -> None:
    other = generate(4, ACCOUNTS, DAYS)
    assert other.truth.stories != generated.truth.stories


def test_every_storyline_is_there_and_ordinary_accounts_are_the_majority(generated: Generated) -> None:
    many = Counter(story.storyline for story in generated.truth.stories)
    assert many.keys() == parameters().storylines.keys()
    assert many["none"] > ACCOUNTS / 2


def test_nobody_is_active_after_everybody_has_stopped(generated: Generated, user_days: dict[str, Counter[int]]) -> None:
    for story in stories(generated, "sudden_stop", "gone"):
        assert story.onset_day is not None
        assert max(user_days[story.account]) < story.onset_day


@pytest.mark.parametrize(("storyline", "least", "most"), [("slow_decay", 0.0, 0.3), ("growth", 1.4, 4.0)])
def test_use_after_the_change_is_another(
    generated: Generated, user_days: dict[str, Counter[int]], storyline: str, least: float, most: float
) -> None:
    shares = []
    for story in stories(generated, storyline):
        assert story.onset_day is not None
        assert story.end_day is not None
        days = user_days[story.account]
        last = generated.truth.first_day + DAYS - 1
        if last - story.end_day >= 28:
            shares.append(a_week(days, story.end_day, last) / a_week(days, story.onset_day - 140, story.onset_day - 1))
    assert least <= mean(shares) <= most


def test_people_leave_at_a_seat_loss_and_the_others_stay(
    generated: Generated, user_days: dict[str, Counter[int]]
) -> None:
    for story in stories(generated, "seat_loss"):
        assert story.end_day is not None
        after = {
            event.user
            for event in generated.events
            if event.account == story.account
            and day_of(event.at_ms) > story.end_day
            and event.name != "Planned Absence"
        }
        assert 1 <= len(after) <= story.people * (1 - story.trait) + 1


def test_an_account_that_moves_to_an_agent_is_as_busy_as_before_but_not_by_people(
    generated: Generated, active: dict[str, set[tuple[int, str]]], user_days: dict[str, Counter[int]]
) -> None:
    before, after = 0.0, 0.0
    for story in stories(generated, "agent_move"):
        assert story.onset_day is not None
        assert story.end_day is not None
        agent = f"{story.account}-{story.kind}"
        assert len({day for day, user in active[story.account] if user == agent and day >= story.end_day}) >= 42
        days, last = user_days[story.account], generated.truth.first_day + DAYS - 1
        before += a_week(days, story.onset_day - 140, story.onset_day - 1)
        after += a_week(days, story.end_day, last)
    assert after < 0.4 * before


def test_what_an_agent_does_says_so(generated: Generated) -> None:
    movers = {f"{story.account}-{story.kind}": story.kind for story in stories(generated, "agent_move")}
    actors = {(e.user, e.properties["actor"]) for e in generated.events if "actor" in e.properties}
    assert actors == {(user, {"agent": "agent", "api": "integration"}[kind]) for user, kind in movers.items()}


def test_told_vacations_are_told_before_they_begin_and_untold_ones_are_not(generated: Generated) -> None:
    facts = {each.account: each for each in generated.facts}
    for story in stories(generated, "vacation"):
        assert story.onset_day is not None
        whole = [absence for absence in facts[story.account].absences if not absence.user]
        assert bool(whole) == (story.kind == "told")
        for absence in whole:
            assert (absence.first_day, absence.last_day) == (story.onset_day, story.end_day)
            assert absence.told_at_ms is not None
            assert day_of(absence.told_at_ms) < absence.first_day


def test_each_told_absence_is_also_an_event_at_its_time(generated: Generated) -> None:
    told = [event for event in generated.events if event.name == "Planned Absence"]
    facts = [absence for known in generated.facts for absence in known.absences]
    assert {(e.account, e.user, e.at_ms) for e in told} == {(a.account, a.user, a.told_at_ms) for a in facts}
    assert len(told) == len(facts)
    assert all(set(e.properties) == {"from", "to", "scope"} for e in told)
    assert all((e.properties["scope"] == "person") == bool(e.user) for e in told)


def test_few_are_active_on_public_holidays_and_in_outages(
    generated: Generated, user_days: dict[str, Counter[int]]
) -> None:
    ordinary = [story for story in stories(generated, "none") if story.country == "DE"]
    christmas = day_number(date(2024, 12, 25))  # a Wednesday
    outage = min(generated.truth.outages)
    at_christmas = sum(user_days[story.account][christmas] for story in ordinary)
    in_november = sum(user_days[story.account][christmas - 42] for story in ordinary)
    assert at_christmas < 0.3 * in_november
    in_outage = sum(days[outage] for days in user_days.values())
    assert in_outage < 0.15 * max(sum(days[outage - back] for days in user_days.values()) for back in range(1, 4))


def test_the_frozen_holidays_are_those_of_the_package() -> None:
    for country, years in parameters().public_holidays.items():
        for year, days in years.items():
            assert days == sorted(holidays.country_holidays(country, years=year)), (country, year)


@pytest.mark.parametrize(("seed", "accounts", "days"), [(-1, 10, 560), (1, 0, 560), (1, 10, 100), (1, 10, 5000)])
def test_what_cannot_be_generated_is_refused(seed: int, accounts: int, days: int) -> None:
    with pytest.raises(ValueError, match=r"days|accounts"):
        generate(seed, accounts, days)
