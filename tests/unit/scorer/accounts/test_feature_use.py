"""The features that people use: the last day of each, against plain dicts, and nothing where none are declared."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scorer.domain.accounts.active_users import ActiveUsers
from services.scorer.domain.accounts.feature_use import LAST_DAY
from tests.support.examples import examples
from tests.support.plans import plan_of
from tests.support.scorer import UsageLane, at

FEATURES = 3


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**6))
def test_last_days_are_those_of_plain_dicts(seed: int) -> None:
    dice = random.Random(seed)
    people, today = ActiveUsers(999), 1000
    persons = [dice.getrandbits(64) for _ in range(12)]
    used: dict[tuple[int, int], int] = {}
    for _ in range(60):
        for person in dice.sample(persons, dice.randrange(6)):
            people.mark(person)
            for feature in dice.sample(range(FEATURES), dice.randrange(3)):
                people.mark_feature(person, feature, FEATURES)
                used[person, feature] = today
        if dice.random() < 0.4:
            person, day, feature = dice.choice(persons), today - dice.randrange(1, 10), dice.randrange(FEATURES)
            people.mark_past(person, day)
            people.mark_past_feature(person, day, feature, FEATURES)
            used[person, feature] = max(used.get((person, feature), 0), day)
        people.close(today)
        known = set(people.known)
        used = {key: day for key, day in used.items() if key[0] in known}
        today += dice.choice([1, 1, 2, 40, 150])

    for feature in range(FEATURES):
        found = people.last_used(feature)
        days = dict(zip(people.known, found.tolist(), strict=True)) if found is not None else {}
        assert {p: day for p, day in days.items() if day} == {p: day for (p, f), day in used.items() if f == feature}


def test_a_day_beyond_two_bytes_is_the_last_one() -> None:
    people = ActiveUsers(LAST_DAY)
    people.mark(1)
    people.mark_feature(1, 0, 1)
    people.close(LAST_DAY + 5)

    days = people.last_used(0)
    assert days is not None
    assert days.tolist() == [LAST_DAY]


def test_people_who_are_not_known_use_nothing() -> None:
    people = ActiveUsers(999)
    people.mark_feature(1, 0, 1)
    people.mark_past_feature(1, 990, 0, 1)

    assert people.features is None


def test_without_declared_features_nothing_is_made_for_them() -> None:
    lane = UsageLane()
    lane.event("e1", name="Report Shared")
    lane.event("e2", name="Report Shared", when=at(-2))
    lane.close(0)

    account = lane.state.accounts["acme"]
    assert account.active_users.features is None
    assert account.last_used("reports") is None


def test_once_everybody_is_forgotten_the_state_is_the_same_after_a_restart() -> None:
    lane = UsageLane(plan_of({"Exported": ["features.export"]}, features={"export": "core"}))
    lane.event("e1", name="Exported")
    for day in (200, 400):
        lane.clock("ACCEPT", at(day))
        lane.event(f"of a server {day}", user="", when=at(day, 1))
    lane.close(400)

    restarted = lane.reopened()
    for either in (lane, restarted):
        either.event("late", user="", when=at(400, 2), received_at=at(401, 1))

    assert not len(restarted.state.accounts["acme"].active_users)
    assert restarted.state_records() == lane.state_records()
