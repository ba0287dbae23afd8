"""What the tracking plan declares: kept by name over changes of the plan, and the same in whatever order events come."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.actors import person_of
from services.scorer.domain.accounts.roles import OTHER, UNKNOWN
from services.shared.tracking_plan.plan import TrackingPlan
from tests.support.examples import examples
from tests.support.plans import fact_traits, plan_of
from tests.support.scorer import DAY, UsageLane, at, days_of

DAYS = 6
USERS = ("ann", "bob", "cid", "dan")
ROLES = ("admin", "editor", "viewer")

NAMES: dict[str, tuple[str, ...]] = {
    "counts": ("exports", "imports", "value"),
    "cases": ("bills", "tickets"),
    "answers": ("csat", "nps"),
    "facts": ("tier", "seats", "spend"),
    "milestones": ("first_export", "first_value"),
    "features": ("sheets", "loads"),
}
TYPES = {"tier": "text", "seats": "whole_number", "spend": "number"}
OF_EVENTS = {
    "Do exports": ["counts.exports", "milestones.first_export", "features.sheets"],
    "Do imports": ["counts.imports", "features.loads"],
    "Do value": ["counts.value", "milestones.first_value"],
    "Do Anything": ["counts.exports", "counts.imports", "counts.value"],
    **{f"{name} {step}": [f"cases.{name}.{step.lower()}"] for name in NAMES["cases"] for step in ("Opened", "Closed")},
    **{f"{name} Answered": [f"answers.{name}"] for name in NAMES["answers"]},
}


def plan_with(chosen: Mapping[str, set[str]]) -> TrackingPlan:
    """Return a plan of some of the names of each kind; `roles` are those that are declared."""
    events = {
        event: [word for word in words if word.split(".")[1] in chosen[word.split(".")[0]]]
        for event, words in OF_EVENTS.items()
    }
    return plan_of(
        {event: words for event, words in events.items() if words},
        group_traits=fact_traits(**{name: (TYPES[name], name) for name in sorted(chosen["facts"])}),
        identify_traits={"Role": {"means": "role"}} if chosen["roles"] else {},
        cases={name: {"id": "id"} for name in sorted(chosen["cases"])},
        answers={name: {"score": "score", "scale": [0, 10]} for name in sorted(chosen["answers"])},
        features=dict.fromkeys(sorted(chosen["features"]), "core"),
        roles=sorted(chosen["roles"]),
    )


def some(dice: random.Random) -> dict[str, set[str]]:
    choices = {kind: list(names) for kind, names in NAMES.items()} | {"roles": list(ROLES)}
    return {kind: {name for name in names if dice.random() < 0.6} for kind, names in choices.items()}


ALL = {kind: set(names) for kind, names in NAMES.items()} | {"roles": set(ROLES)}


def happenings(dice: random.Random, count: int = 150) -> list[tuple[str, str, int, dict[str, Any]]]:
    """Return event id, user, time and the rest, in order of time."""
    found = []
    for number in range(count):
        what = dice.choice(
            ["Do exports", "Do imports", "Do value", "Do Anything", "Look", "case", "answer", "facts", "who"]
        )
        changes: dict[str, Any] = {"name": what}
        if what == "case":
            sort, way = dice.choice(["bills", "tickets"]), dice.choice(["Opened", "Closed"])
            changes = {"name": f"{sort} {way}", "properties": {"id": dice.randrange(5)}}
        elif what == "answer":
            changes = {"name": f"{dice.choice(['csat', 'nps'])} Answered", "properties": {"score": dice.randrange(11)}}
        elif what == "facts":
            said = {"tier": dice.choice("abc"), "seats": dice.randrange(4), "spend": dice.random()}
            changes = {"kind": "GROUP", "properties": dict(dice.sample(sorted(said.items()), 2))}
        elif what == "who":
            changes = {"kind": "IDENTIFY", "properties": {"role": dice.choice([*ROLES, "guest", None])}}
        when = at(dice.randrange(DAYS), dice.randrange(24)) + number
        found.append((f"e{number}", dice.choice(USERS), when, changes))
    return sorted(found, key=lambda each: each[2])


def told(account: Account, names: Mapping[str, set[str]], *, histories: bool = True) -> dict[str, Any]:
    """Return what an account says of some names of each kind, as a measure would ask; all its days are closed."""
    day, now = DAY + DAYS, at(DAYS + 1)
    users, kinds = account.active_users, account.kinds
    said: dict[str, Any] = {"first": account.milestone("first_activity"), "days": days_of(account)}
    counts = names["counts"] | {f"{sort}_{way}" for sort in names["cases"] for way in ("opened", "closed")}
    for name in counts:
        found = account.history(name, day)
        said[name] = found.tolist() if found is not None else None
    said |= {name: account.open_since(name) for name in names["cases"]}
    said |= {name: account.sentiment(name, now) for name in names["answers"]}
    said |= {name: account.milestone(name) for name in names["milestones"]}
    for name in names["facts"]:
        said[name] = account.fact(name)
        if histories:
            said[name] = account.facts.history(kinds.facts[name]) if account.facts else []
    for name in names["features"]:
        used = users.last_used(kinds.features[name])
        said[name] = dict(zip(users.known, used.tolist(), strict=True)) if used is not None else {}
    roles = {code: name for name, code in kinds.roles.items()}
    if account.roles is not None:
        codes = account.roles.of(users.known).tolist()
        said["roles"] = {
            person: roles.get(code - 1, "nothing" if code == UNKNOWN else "other")
            for person, code in zip(users.known, codes, strict=True)
        }
    return said


def lane_of(plan: TrackingPlan, events: list[tuple[str, str, int, dict[str, Any]]]) -> UsageLane:
    lane = UsageLane(plan)
    for day in range(DAYS):
        for event_id, user, when, changes in events:
            if when // 86_400_000 - DAY == day:
                lane.event(event_id, "acme", user, when, **changes)
        lane.close(day)
    return lane


def both(one: Mapping[str, set[str]], other: Mapping[str, set[str]]) -> dict[str, set[str]]:
    return {kind: one[kind] & other[kind] for kind in one}


@settings(max_examples=examples(18), deadline=None)
@given(st.integers(0, 10**6))
def test_another_plan_neither_misreads_nor_loses_what_it_still_declares(seed: int) -> None:
    dice = random.Random(seed)
    first, second = some(dice), some(dice)
    before = lane_of(plan_with(first), happenings(dice))
    kept = both(first, second)
    after = before.reopened(plan_with(second))
    account = after.state.accounts["acme"]

    expected, found = told(before.state.accounts["acme"], kept), told(account, kept)
    expected_roles, found_roles = expected.pop("roles", {}), found.pop("roles", {})
    assert found == expected
    if second["roles"]:
        assert found_roles == {
            person: role if role in kept["roles"] or role == "nothing" else "other"
            for person, role in expected_roles.items()
        }
    else:
        assert account.roles is None
    added = told(account, {kind: second[kind] - first[kind] for kind in second})
    empty = told(
        UsageLane(plan_with(second)).state.new_account("new"), {kind: second[kind] - first[kind] for kind in second}
    )
    for name in set(empty) - {"first", "days"}:
        assert added[name] == empty[name], name


@settings(max_examples=examples(9), deadline=None)
@given(st.integers(0, 10**6))
def test_what_is_not_declared_is_gone_with_the_next_writing_and_not_before(seed: int) -> None:
    dice = random.Random(seed)
    second = some(dice)
    before = lane_of(plan_with(ALL), happenings(dice))
    between = before.reopened(plan_with(second))
    at_once = between.reopened(plan_with(ALL))
    state = between.state
    state.hot, state.cold = {"acme"}, {"acme"}
    written = between.reopened(plan_with(ALL))

    expected = told(before.state.accounts["acme"], ALL)
    if second["roles"]:
        assert told(at_once.state.accounts["acme"], ALL) == expected
    found, again = told(written.state.accounts["acme"], ALL), told(written.state.accounts["acme"], second)
    assert {name: again[name] for name in again if name != "roles"} == {
        name: expected[name] for name in again if name != "roles"
    }
    for kind in ("milestones", "facts", "features"):
        for name in ALL[kind] - second[kind]:
            assert found[name] in (-1, [], {}), name
    if not second["roles"]:
        assert written.state.accounts["acme"].roles is None


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(0, 10**6))
def test_late_events_leave_each_kind_as_if_they_had_been_on_time(seed: int) -> None:
    dice = random.Random(seed)
    events = happenings(dice)
    held = {event[0] for event in events if dice.random() < 0.4}
    on_time, late = UsageLane(plan_with(ALL)), UsageLane(plan_with(ALL))
    for day in range(DAYS):
        for event_id, user, when, changes in events:
            if when // 86_400_000 - DAY == day:
                on_time.event(event_id, "acme", user, when, **changes)
                if event_id not in held:
                    late.event(event_id, "acme", user, when, **changes)
        if dice.random() < 0.3:
            late = late.reopened()
        on_time.close(day)
        late.close(day)
    waiting = [event for event in events if event[0] in held]
    for event_id, user, when, changes in dice.sample(waiting, len(waiting)):
        late.event(event_id, "acme", user, when, received_at=at(DAYS), **changes)
    for lane in (on_time, late):
        lane.close(DAYS)

    expected, found = (told(lane.state.accounts["acme"], ALL, histories=False) for lane in (on_time, late))
    assert found == expected


def test_roles_that_are_not_declared_are_other_ones() -> None:
    lane = UsageLane(plan_with(ALL | {"roles": {"admin"}}))
    for user, role in (("ann", " Admin"), ("bob", "viewer"), ("cid", None)):
        lane.event(f"w{user}", user=user, when=at(0, 1), kind="IDENTIFY", properties={"role": role})
        lane.event(f"e{user}", user=user, when=at(0, 2))
    lane.close(0)
    account = lane.state.accounts["acme"]
    assert account.roles is not None

    codes = dict(zip(account.active_users.known, account.roles.of(account.active_users.known), strict=True))
    assert [codes[person_of(user)] for user in ("ann", "bob", "cid")] == [1, OTHER, UNKNOWN]
