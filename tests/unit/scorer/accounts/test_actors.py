"""People, agents and integrations: counted apart, judged together."""

from __future__ import annotations

from typing import Any

import pytest

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.actors import AGENTS, INTEGRATIONS, actor_of, person_of, split
from services.scorer.domain.accounts.daily_counts import ACTIVE
from services.scorer.domain.accounts.facts import Facts
from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.health.known import known_of
from services.scorer.domain.health.measuring import measures_of
from services.scorer.domain.health.usage import own_weeks
from tests.support.scorer import DAY, PLAN, UsageLane, at, days_of, measures

KINDS = kinds_of(PLAN)


def account(*actors: tuple[int, range], first_day: int = DAY - 238) -> Account:
    """Return an account with these actors, each active on the days of a range that ends before the first test day."""
    found = Account("acme", DAY, KINDS)
    for actor, days in actors:
        for day in days:
            assert found.active_users.mark_past(actor, day)
            found.daily_counts.add(ACTIVE, day, 1)
    found.reach(KINDS.milestones["first_activity"], first_day)
    found.last_active_day = DAY - 1
    return found


def measured(found: Account) -> dict[str, float]:
    return measures_of(known_of(found, at(), DAY - 1, [1.0] * 36, value_connected=True))


PAST, MONTH, ALL = range(DAY - 238, DAY - 28), range(DAY - 28, DAY), range(DAY - 238, DAY)


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({}, (1, 0, 0)),
        ({"actor": "PERSON"}, (1, 0, 0)),
        ({"actor": "AGENT"}, (0, 1, 0)),
        ({"actor": "INTEGRATION"}, (0, 0, 1)),
        ({"actor": "AGENT", "user": ""}, (0, 1, 0)),
        ({"actor": "INTEGRATION", "user": ""}, (0, 0, 1)),
        ({"actor": "PERSON", "user": ""}, (0, 0, 0)),
        ({"user": ""}, (0, 0, 0)),
        ({"actor": "AGENT", "internal": True}, (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_an_event_makes_its_actor_active_and_nobody_else(
    changes: dict[str, Any], counted: tuple[int, int, int], late: bool
) -> None:
    lane = UsageLane()
    if late:
        lane.close(0)
    lane.event("e1", when=at(0, 3), received_at=at(1 if late else 0, 3), **{"user": "ann", **changes})
    if not late:
        lane.close(0)

    found = lane.state.accounts["acme"]
    agents, integrations = split(found.active_users.known)
    assert (agents, integrations - agents, len(found.active_users) - integrations) == counted
    assert days_of(found).get(DAY, (0, 0))[1] == sum(counted)


def test_an_agent_of_a_user_is_another_actor_than_the_user() -> None:
    lane = UsageLane()
    lane.event("e1", user="ann", when=at(0, 3))
    lane.event("e2", user="ann", when=at(0, 4), actor="AGENT")
    lane.event("e3", user="ann", when=at(0, 5), actor="AGENT")
    lane.close(0)

    assert days_of(lane.state.accounts["acme"]) == {DAY: (3, 2)}


def test_an_integration_without_a_user_is_one_for_each_source() -> None:
    numbers = {actor_of("", source, "INTEGRATION") for source in ("api", "api", "sync")}

    assert len(numbers) == 2
    assert all(number is not None and number >= INTEGRATIONS for number in numbers)
    assert actor_of("", "api", "UNKNOWN") is None
    assert AGENTS <= (actor_of("ann", "api", "AGENT") or 0) < INTEGRATIONS


def test_two_people_who_are_one_have_one_agent() -> None:
    lane = UsageLane()
    for number, (user, actor) in enumerate([("anon", "PERSON"), ("anon", "AGENT"), ("ann", "AGENT")]):
        lane.event(f"e{number}", user=user, when=at(0, 3), actor=actor)
    lane.close(0)
    lane.fold.link(
        {
            "kind": "SAME",
            "account": "acme",
            "user": "anon",
            "known_as": "ann",
            "authority": "SERVER",
            "epoch": 0,
            "received_at": at(1),
        }
    )

    found = lane.state.accounts["acme"]
    assert list(found.active_users.known) == [person_of("ann"), AGENTS | person_of("ann")]
    assert days_of(found)[DAY] == (3, 2)


def test_actors_survive_a_restore() -> None:
    lane = UsageLane()
    for number, actor in enumerate(["PERSON", "AGENT", "INTEGRATION"]):
        lane.event(f"e{number}", user="ann", when=at(0, 3), actor=actor)
    lane.close(0)
    lane.event("e9", user="bob", when=at(1, 3), actor="AGENT")
    other = lane.reopened()
    for each in (lane, other):
        each.close(1)

    assert measures(lane.snapshots("acme")[-1])["agents_28"] == 2
    assert measures(other.snapshots("acme")[-1]) == measures(lane.snapshots("acme")[-1])


def test_only_people_count_where_people_are_counted() -> None:
    found = measured(account((1, ALL), (2, ALL), (AGENTS | 1, MONTH), (INTEGRATIONS | 1, MONTH)))

    assert (found["active_users_28"], found["active_users_28_usual"], found["active_users_lost"]) == (2, 2, 0)
    assert (found["agents_28"], found["integrations_28"]) == (1, 1)
    assert found["user_days_4w"] == 4 * 28


def test_where_only_people_are_known_nothing_is_said_of_agents() -> None:
    assert (
        not {"people_share_4w", "people_share_usual", "people_level_4w", "agents_28"}
        & measured(account((1, ALL))).keys()
    )


def test_an_agent_of_long_ago_is_not_known_though_no_day_with_activity_has_closed_since() -> None:
    """A late event moves the days on, and forgets nobody."""
    found = account((AGENTS | 1, range(DAY - 238, DAY - 237)), (1, range(DAY - 1, DAY)))

    def on(day: int) -> dict[str, float]:
        return measures_of(known_of(found, at(day), DAY + day - 1, [1.0] * 36, value_connected=True))

    assert {"agents_28", "integrations_28"} <= on(18).keys()
    assert {"people_share_4w", "agents_28", "integrations_28"} & on(19).keys() == set()


def test_a_move_to_an_agent_keeps_the_level_and_shows_in_the_share_of_people() -> None:
    found = measured(account((1, PAST), (2, ALL), (AGENTS | 1, MONTH)))

    assert found["level_4w"] == 1
    assert (found["people_share_4w"], found["people_share_usual"]) == (0.5, 1)
    assert found["people_level_4w"] == pytest.approx(28.5 / 56.5, abs=1e-6)


def test_an_account_that_agents_have_always_run_has_no_people_to_lose() -> None:
    found = measured(account((AGENTS | 1, ALL)))

    assert (found["level_4w"], found["people_share_usual"], found["people_level_4w"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("people", "days", "taken_over"),
    [(8, 28, 28 / (8 * 28)), (8, 8, 8 / (8 * 28)), (8, 7, 0), (1, 28, 1)],
)
def test_what_a_new_agent_does_is_counted_for_each_day_that_people_do_less(
    people: int, days: int, taken_over: float
) -> None:
    actors = [(person, PAST) for person in range(1, people + 1)]
    recent = range(DAY - days, DAY)

    assert measured(account(*actors, (AGENTS | 1, recent)))["taken_over_4w"] == pytest.approx(taken_over, abs=1e-6)


def test_an_agent_that_goes_on_as_before_takes_nothing_over() -> None:
    found = measured(account((1, PAST), (2, PAST), (AGENTS | 1, ALL)))

    assert found["taken_over_4w"] == 0
    assert "taken_over_4w" not in measured(account((1, ALL), (AGENTS | 1, MONTH)))


def test_nothing_is_taken_over_from_people_who_are_nearly_all_there() -> None:
    people = [(person, ALL) for person in range(1, 5)]
    new = (AGENTS | 1, range(DAY - 28, DAY))

    assert "taken_over_4w" not in measured(account(*people, (5, PAST), new))
    assert measured(account(*people[:3], (5, PAST), new))["taken_over_4w"] == pytest.approx(1, abs=1e-6)


def test_a_person_who_is_away_takes_their_part_and_none_of_what_agents_do() -> None:
    found = account((1, ALL), (AGENTS | 1, ALL), (AGENTS | 2, ALL), (AGENTS | 3, ALL))
    found.absences = {(1, DAY - 28): (DAY - 1, at())}

    assert measured(found)["calendar_level"] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("went_live", "weeks"), [(None, 34), (DAY - 70, 10), (DAY - 1, 0), (DAY, 34), (DAY + 500, 34), (DAY - 900, 34)]
)
def test_a_go_live_that_has_come_is_where_the_baseline_begins(went_live: int | None, weeks: int) -> None:
    found = account((1, ALL))
    if went_live is not None:
        found.facts = Facts(len(KINDS.facts))
        found.facts.set(KINDS.facts["go_live_day"], went_live, 1)

    assert own_weeks(found, DAY - 1) == weeks


def test_pauses_before_the_go_live_are_no_habit() -> None:
    rare, daily = range(DAY - 238, DAY - 70, 14), range(DAY - 70, DAY)
    found = account((1, rare), (2, daily))
    assert measured(found)["silence_limit_days"] == 25

    found.facts = Facts(len(KINDS.facts))
    found.facts.set(KINDS.facts["go_live_day"], DAY - 70, 1)
    assert measured(found)["silence_limit_days"] == 7
