"""Roles of people: the newest statement counts, and nothing is done where none are declared."""

from __future__ import annotations

import itertools
from array import array
from typing import Any

import pytest

from services.scorer.domain.accounts import roles as module
from services.scorer.domain.accounts.roles import OTHER, UNKNOWN, Roles, role_code
from services.scorer.domain.lane.account_format import ROLES
from services.shared.units import HOUR_MS
from tests.support.plans import plan_of
from tests.support.scorer import UsageLane, at

PLAN = plan_of(roles=["Admin", "viewer"], identify_traits={"Job": {"means": "role"}})


def identify(lane: UsageLane, number: int, role: object, user: str = "ann", hour: float = 1, **changes: Any) -> None:
    lane.event(f"i{number}", user=user, when=at(0, hour), kind="IDENTIFY", properties={"job": role}, **changes)


def role_of(lane: UsageLane, user: str = "ann") -> str | None:
    """Return the role of a person who is active on day 0."""
    lane.event(f"e{user}", user=user, when=at(0, 20))
    lane.close(0)
    account = lane.state.accounts["acme"]
    found = {role: account.in_role(role) for role in ("admin", "viewer", "other")}
    return next((role for role, flags in found.items() if flags is not None and flags.any()), None)


def test_statements_in_any_order_lead_to_the_same_role() -> None:
    for order in itertools.permutations([("admin", 3), ("viewer", 1), ("guest", 2), ("VIEWER ", 4)]):
        lane = UsageLane(PLAN, start=at(0, 8))
        for number, (role, hour) in enumerate(order):
            identify(lane, number, role, hour=hour, received_at=at(0, 8))

        assert role_of(lane) == "viewer", order


def test_a_role_that_is_said_again_within_the_hour_is_no_news_and_later_or_another_one_is() -> None:
    roles = Roles()
    start = at(0, 1)

    assert roles.note(7, 1, start)
    assert not roles.note(7, 1, start + HOUR_MS - 1)
    assert roles.note(7, 2, start + HOUR_MS - 1)
    assert roles.note(7, 2, start + 2 * HOUR_MS)
    assert not roles.note(7, 2, start + 2 * HOUR_MS)


@pytest.mark.parametrize(("sent", "role"), [("ADMIN", "admin"), ("guest", "other"), (None, None), ("", "other")])
def test_a_role_that_is_not_declared_is_other_and_null_removes_it(sent: str | None, role: str | None) -> None:
    lane = UsageLane(PLAN)
    identify(lane, 1, "viewer")
    identify(lane, 2, sent, hour=2)

    assert role_of(lane) == role


def test_a_role_may_be_said_before_the_person_is_active_and_is_restored() -> None:
    lane = UsageLane(PLAN)
    identify(lane, 1, "admin")

    assert role_of(lane.reopened()) == "admin"


def test_a_role_of_the_wrong_type_is_left_out_and_counted() -> None:
    lane = UsageLane(PLAN)
    identify(lane, 1, 7)

    assert [(r.reason, r.field) for r in lane.rejections()] == [("bad_trait", "traits.job")]
    assert lane.state.ledger.fields_rejected == lane.state.ledger.applied == 1
    assert lane.state.accounts["acme"].roles is None


@pytest.mark.parametrize("changes", [{"user": ""}, {"internal": True}, {"properties": {"name": "Ann"}}])
def test_nobody_and_those_left_out_have_no_role(changes: dict[str, Any]) -> None:
    plan = plan_of(roles=["admin"], identify_traits={"job": {"means": "role"}})
    lane = UsageLane(plan)
    lane.event("i1", when=at(0, 1), kind="IDENTIFY", **({"properties": {"job": "admin"}} | changes))

    assert lane.state.accounts["acme"].roles is None
    assert lane.state.ledger.applied == 1


def test_without_declared_roles_identify_reads_and_keeps_nothing() -> None:
    lane = UsageLane()
    lane.event("i1", when=at(0, 1), kind="IDENTIFY", properties="no JSON at all")

    assert not lane.rejections()
    assert lane.state.accounts["acme"].roles is None
    assert not [key for key in lane.state_records() if key.startswith(ROLES)]


def test_the_cap_leaves_new_people_out_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_IDENTIFIED", 2)
    lane = UsageLane(PLAN)
    for number, user in enumerate(("ann", "bob", "cid", "ann")):
        identify(lane, number, "admin", user, hour=1 + number)

    assert lane.state.ledger.people_dropped == 1
    assert role_of(lane, "cid") is None


def test_whoever_is_neither_active_nor_mentioned_for_256_days_is_forgotten() -> None:
    lane = UsageLane(PLAN)
    for number, user in enumerate(("old", "kept", "seen")):
        identify(lane, number, "admin", user)
    for day in range(300):
        lane.event(f"s{day}", user="seen", when=at(day, 2))
        lane.tick(at(day, 3))
    lane.event("later", user="kept", when=at(299, 4), kind="IDENTIFY", properties={"job": "admin"})
    lane.event("last", user="seen", when=at(300, 1))
    lane.tick(at(301, 1))

    account = lane.reopened().state.accounts["acme"]
    assert account.roles is not None
    assert len(account.roles.known) == 2


def test_a_forgotten_account_leaves_no_roles_behind() -> None:
    lane = UsageLane(PLAN)
    identify(lane, 1, "admin")
    assert [key for key in lane.state_records() if key.startswith(ROLES)]
    for day in range(258):
        lane.close(day)

    assert not lane.state.accounts
    assert not [key for key in lane.state_records() if key.startswith(ROLES)]


def test_codes_are_those_of_the_places_of_the_plan() -> None:
    places = {"admin": 0, "viewer": 1}
    roles = Roles()
    for person, role in enumerate(("viewer", "admin", "guest", None)):
        roles.note(person, role_code(role, places), 1_000)

    assert roles.of(array("Q", [0, 1, 2, 3, 9])).tolist() == [2, 1, OTHER, UNKNOWN, UNKNOWN]
    assert Roles().of(array("Q", [1])).tolist() == [UNKNOWN]
    roles.renumber({2: 7, UNKNOWN: UNKNOWN})
    assert roles.of(array("Q", [0, 1, 2, 3])).tolist() == [7, OTHER, OTHER, UNKNOWN]
