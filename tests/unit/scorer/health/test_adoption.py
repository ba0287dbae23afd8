"""Which declared features are in use, and in which declared roles nobody is left."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.actors import INTEGRATIONS, person_of
from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.accounts.roles import Roles, role_code
from services.scorer.domain.health.adoption import roles_gone
from services.scorer.domain.health.known import known_of
from services.scorer.domain.health.measuring import measures_of
from tests.support.plans import plan_of
from tests.support.scorer import DAY, UsageLane, at, measures

FEATURES = {"dashboards": "core", "exports": "core", "api": "deep", "formulas": "deep"}
PLAN = plan_of(
    {
        "Opened": ["features.dashboards"],
        "Exported": ["features.exports"],
        "Called": ["features.api"],
        "Computed": ["features.formulas"],
    },
    features=FEATURES,
    roles=["admin", "viewer"],
    identify_traits={"role": {"means": "role"}},
)
KINDS = kinds_of(PLAN)
LAST = DAY - 1
"""The last closed day."""


def measured(account: Account) -> dict[str, float]:
    return measures_of(known_of(account, at(0), LAST, [1.0] * 36, value_connected=False))


def account(*days: tuple[str, int], roles: dict[str, str] | None = None) -> Account:
    """Return an account with the days, before the last closed one, on which each of some people was active."""
    found = Account("acme", DAY, KINDS)
    for user, before in days:
        found.active_users.mark_past(person_of(user), LAST - before)
    if roles is not None:
        found.roles = Roles()
        for user, role in roles.items():
            found.roles.note(person_of(user), role_code(role, KINDS.roles), at(-200))
    return found


def using(*uses: tuple[str, int, int]) -> Account:
    """Return an account with features, each with the days before the last closed one and the actor who used it then."""
    found = Account("acme", DAY, KINDS)
    for feature, before, actor in uses:
        found.active_users.mark_past(actor, LAST - before)
        found.active_users.mark_past_feature(actor, LAST - before, KINDS.features[feature], len(KINDS.features))
    return found


@pytest.mark.parametrize(("before", "used", "dropped"), [(0, 1, 0), (27, 1, 0), (28, 0, 1), (83, 0, 1), (84, 0, None)])
def test_a_feature_is_in_use_for_28_days_and_no_longer_used_for_84(before: int, used: int, dropped: int | None) -> None:
    found = measured(using(("exports", before, 1)))

    assert (found["features_used_28"], found.get("features_dropped")) == (used, dropped)
    assert found["core_features_unused"] == 2 - used


def test_whoever_used_a_feature_last_decides() -> None:
    found = measured(using(("exports", 60, 1), ("exports", 5, 2), ("dashboards", 40, 1), ("dashboards", 70, 2)))

    assert (found["features_used_28"], found["features_dropped"], found["core_features_unused"]) == (1, 1, 1)


def test_people_who_use_several_deep_features_count_once_and_programs_do_not() -> None:
    found = measured(using(("api", 3, 1), ("formulas", 9, 1), ("api", 27, 2), ("api", 28, 3), ("exports", 1, 4), ("api", 1, INTEGRATIONS | 5)))  # fmt: skip

    assert found["deep_people_28"] == 2
    assert found["features_used_28"] == 3


def test_a_feature_that_a_program_alone_uses_is_in_use() -> None:
    found = measured(using(("api", 1, INTEGRATIONS | 5)))

    assert (found["features_used_28"], found["deep_people_28"]) == (1, 0)


@pytest.mark.parametrize(("depth", "unknown"), [("core", "deep_people_28"), ("deep", "core_features_unused")])
def test_what_no_declared_feature_is_is_not_known(depth: str, unknown: str) -> None:
    plan = plan_of({"Exported": ["features.exports"]}, features={"exports": depth})
    found = measured(Account("acme", DAY, kinds_of(plan)))

    assert found.keys() >= {"features_used_28", "features_dropped", "core_features_unused", "deep_people_28"} - {
        unknown
    }
    assert unknown not in found


def test_where_nothing_is_declared_nothing_of_it_is_measured() -> None:
    found = measured(Account("acme", DAY, kinds_of(plan_of())))

    assert not found.keys() & {
        "features_used_28",
        "features_dropped",
        "core_features_unused",
        "deep_people_28",
        "roles_gone",
    }


@pytest.mark.parametrize(("before", "gone"), [(0, 0), (27, 0), (28, 1), (83, 1), (84, None), (255, None)])
def test_a_role_has_nobody_left_once_its_last_person_has_been_away_for_28_of_84_days(
    before: int, gone: int | None
) -> None:
    found = measured(account(("ann", before), ("bob", 0), roles={"ann": "admin", "bob": "viewer"}))

    assert found.get("roles_gone") == gone


def test_what_is_gone_for_longer_is_not_counted_beside_what_is_gone_since_lately() -> None:
    people = account(("ann", 90), ("bob", 40), roles={"ann": "admin", "bob": "viewer"})
    features = using(("exports", 90, 1), ("dashboards", 40, 1))

    assert measured(people)["roles_gone"] == 1
    assert measured(features)["features_dropped"] == 1


def test_a_role_whose_people_are_forgotten_is_not_gone() -> None:
    people = account(("ann", 256), ("bob", 0), roles={"ann": "admin", "bob": "viewer"})

    assert measured(people)["roles_gone"] == 0


@pytest.mark.parametrize(("before", "dropped"), [(255, None), (256, 0)])
def test_a_feature_that_was_used_longer_ago_is_forgotten_though_its_user_is_still_there(
    before: int, dropped: int | None
) -> None:
    ann = person_of("ann")
    found = using(("exports", before, ann), ("dashboards", 0, ann))

    assert measured(found).get("features_dropped") == dropped


def test_where_no_role_was_said_the_days_of_people_are_not_looked_at_for_one() -> None:
    found = Account("acme", DAY, KINDS)
    del found.active_users  # to unpack them takes a millisecond where there are thousands

    assert roles_gone(found, LAST) is None


def test_another_person_in_the_role_is_enough() -> None:
    people = account(("ann", 30), ("bob", 3), roles={"ann": "admin", "bob": "admin"})

    assert measured(people)["roles_gone"] == 0


def test_people_of_no_role_or_of_one_that_is_not_declared_leave_none() -> None:
    people = account(("ann", 30), ("bob", 30), ("cid", 30), roles={"ann": "guest", "bob": "viewer"})

    assert measured(people)["roles_gone"] == 1


def test_without_any_role_it_is_not_known_and_without_anybody_active_neither() -> None:
    assert "roles_gone" not in measured(account(("ann", 30)))
    assert "roles_gone" not in measured(account(roles={"ann": "admin"}))


def absences(*planned: tuple[int, int, int]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return absences of people, from and to, in days before the last closed one."""
    return {(person, LAST - first): (LAST - last, 1) for person, first, last in planned}


@pytest.mark.parametrize(
    ("planned", "gone"),
    [
        ([(person_of("ann"), 40, 27)], None),
        ([(person_of("ann"), 40, 28)], 1),
        ([(person_of("ann"), 0, -9)], None),
        ([(person_of("ann"), -1, -9)], 1),
        ([(person_of("ann"), 10, 20)], 1),  # taken back
        ([(person_of("bob"), 20, 1)], 1),
        ([(0, 40, 20)], None),
        ([], 1),
    ],
)
def test_of_whoever_is_away_as_planned_it_is_not_known_whether_they_have_gone(
    planned: Iterable[tuple[int, int, int]], gone: int | None
) -> None:
    people = account(("ann", 30), ("bob", 0), roles={"ann": "admin", "bob": "viewer"})
    people.absences = absences(*planned)

    assert measured(people).get("roles_gone") == gone


def test_what_events_say_comes_into_the_snapshot() -> None:
    lane = UsageLane(PLAN)
    lane.event("role", user="ann", when=at(0, 1), kind="IDENTIFY", properties={"role": "Admin"})
    lane.event("first", user="ann", when=at(0, 2), name="Exported")
    lane.event("deep", user="ann", when=at(0, 3), name="Computed")
    for day in range(30):
        lane.event(f"on {day}", user="bob", when=at(day, 5))
        lane.close(day)

    last = lane.snapshots()[-1]
    found = measures(last)

    assert last["counted"] == {
        "roles_gone": ["admin"],
        "features_dropped": ["exports", "formulas"],
        "core_features_unused": ["dashboards", "exports"],
    }
    assert {name: found[name] for name in ("features_used_28", "features_dropped", "core_features_unused", "deep_people_28", "roles_gone")} == {
        "features_used_28": 0,
        "features_dropped": 2,
        "core_features_unused": 2,
        "deep_people_28": 0,
        "roles_gone": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("person", "last", "dropped"),
    [(0, 20, None), (0, 28, 1), (person_of("ann"), 20, 1)],
    ids=["all", "before", "one person"],
)
def test_while_the_whole_account_is_away_as_planned_it_is_not_known_which_features_are_dropped(
    person: int, last: int, dropped: int | None
) -> None:
    found = using(("exports", 40, person_of("ann")))
    found.absences = absences((person, 39, last))

    assert measured(found).get("features_dropped") == dropped
