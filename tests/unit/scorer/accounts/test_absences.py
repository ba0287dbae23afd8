"""Planned absences: what is taken in, what is refused, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from services.scorer.domain.accounts.absences import (
    ACCOUNT,
    MAX_ABSENCES,
    Absences,
    forget_past,
    merge,
    note,
    of_account,
    of_people,
    of_strangers,
)
from services.scorer.domain.accounts.actors import person_of
from services.shared.units import date_of
from tests.support.scorer import DAY, UsageLane, at


def iso(day: int) -> str:
    """Return the date of the n-th test day."""
    return date_of(DAY + day).isoformat()


def away(lane: UsageLane, first: int, last: int, *, event_id: str | None = None, **changes: Any) -> None:
    """Plan an absence of the whole account unless told otherwise."""
    properties = {"from": iso(first), "to": iso(last), "scope": "account", **changes.pop("properties", {})}
    lane.event(event_id or f"a{first}", name="Planned Absence", properties=properties, **changes)


def kept(lane: UsageLane) -> dict[tuple[int, int], tuple[int, int]]:
    return lane.state.accounts["acme"].absences or {}


def test_an_absence_of_the_account_and_one_of_a_person_are_kept_apart_and_are_no_use() -> None:
    lane = UsageLane()
    away(lane, 5, 9, user="")
    away(lane, 5, 6, event_id="p", user="ann", properties={"scope": "person"})

    assert of_account(kept(lane)) == [(DAY + 5, DAY + 9)]
    assert of_people(kept(lane), {person_of("ann")}) == [(DAY + 5, DAY + 6)]
    assert of_strangers(kept(lane), {person_of("bob")}) == [(DAY + 5, DAY + 6)]
    assert of_strangers(kept(lane), {person_of("ann")}) == []
    acme = lane.state.accounts["acme"]
    assert (acme.today("events"), acme.today("active"), acme.last_active_day) == (0, 0, -1)


def test_what_staff_plan_for_the_account_counts_and_when_one_of_them_is_away_does_not() -> None:
    lane = UsageLane()
    away(lane, 5, 9, internal=True)
    away(lane, 5, 6, event_id="p", internal=True, properties={"scope": "person"})

    assert of_account(kept(lane)) == [(DAY + 5, DAY + 9)]
    assert len(kept(lane)) == 1


def test_the_newest_statement_of_one_first_day_holds_whatever_comes_first() -> None:
    for order in ((1, 2), (2, 1)):
        lane = UsageLane(start=at(0, 5))
        for hour in order:
            away(lane, 5, 5 + hour, event_id=f"h{hour}", when=at(0, hour))
        assert of_account(kept(lane)) == [(DAY + 5, DAY + 7)]


def test_an_absence_can_be_taken_back() -> None:
    lane = UsageLane(start=at(0, 5))
    away(lane, 5, 9, when=at(0, 1))
    away(lane, 5, 9, event_id="back", when=at(0, 2), properties={"withdrawn": True, "to": None})
    away(lane, 5, 9, event_id="late", when=at(0, 1))

    assert of_account(kept(lane)) == []


def test_absences_come_back_from_the_state_and_are_dropped_where_no_event_means_them() -> None:
    from services.shared.tracking_plan.reading import read_plan
    from tests.support.plans import default_without

    lane = UsageLane()
    away(lane, 5, 9)
    away(lane, 3, 4, event_id="p", user="ann", properties={"scope": "person"})

    assert kept(lane.reopened()) == kept(lane)
    assert kept(lane.reopened(read_plan(default_without("absences.")))) == {}


def test_absences_that_are_long_over_are_forgotten_as_a_day_closes() -> None:
    lane = UsageLane()
    away(lane, -255, -255)
    away(lane, -254, -254)
    lane.event("e", when=at(0, 1))
    lane.close(0)
    assert len(kept(lane)) == 2

    lane.event("f", when=at(1, 1))
    lane.close(1)
    assert of_account(kept(lane)) == [(DAY - 254, DAY - 254)]


def test_an_absence_is_kept_for_as_long_as_its_last_day_is_within_memory() -> None:
    known: Absences = {(ACCOUNT, DAY - 300): (DAY - 255, 1), (ACCOUNT, DAY - 310): (DAY - 256, 1)}

    assert forget_past(known, DAY)
    assert of_account(known) == [(DAY - 300, DAY - 255)]


def test_absences_with_a_day_between_them_are_two_and_one_within_another_adds_nothing() -> None:
    known: Absences = {(ACCOUNT, 1): (3, 0), (ACCOUNT, 5): (6, 0), (ACCOUNT, 7): (12, 0), (ACCOUNT, 9): (10, 0)}

    assert of_account(known) == [(1, 3), (5, 12)]


def test_the_absences_of_two_people_who_are_one_are_those_of_one() -> None:
    known: Absences = {}
    note(known, 1, DAY, DAY + 2, 10)
    note(known, 1, DAY + 9, DAY + 9, 10)
    note(known, 2, DAY, DAY + 4, 11)

    assert merge(known, 1, 2)
    assert known == {(2, DAY): (DAY + 4, 11), (2, DAY + 9): (DAY + 9, 10)}
    assert not merge(known, 1, 2)


def test_only_a_statement_that_changes_an_absence_is_news() -> None:
    known: Absences = {}

    assert note(known, ACCOUNT, DAY, DAY + 4, 10)
    assert note(known, ACCOUNT, DAY, DAY + 4, 11) is False
    assert note(known, ACCOUNT, DAY, DAY + 5, 11)  # of two of one moment the longer one
    assert note(known, ACCOUNT, DAY, DAY + 3, 11) is False
    assert note(known, ACCOUNT, DAY, DAY + 3, 10) is False
    assert note(known, ACCOUNT, DAY, DAY + 3, 12)
    assert known == {(ACCOUNT, DAY): (DAY + 3, 12)}


def test_absences_that_meet_are_one_and_one_within_another_makes_it_no_shorter() -> None:
    known: Absences = {
        (ACCOUNT, DAY): (DAY + 9, 1),
        (ACCOUNT, DAY + 2): (DAY + 3, 1),
        (ACCOUNT, DAY + 10): (DAY + 11, 1),
        (ACCOUNT, DAY + 13): (DAY + 14, 1),
    }

    assert of_account(known) == [(DAY, DAY + 11), (DAY + 13, DAY + 14)]


def test_beyond_the_bound_an_absence_is_left_out_and_told() -> None:
    lane = UsageLane()
    for number in range(MAX_ABSENCES + 1):
        away(lane, number, number, user="ann", properties={"scope": "person"})

    away(lane, 3, 4, event_id="longer", user="ann", properties={"scope": "person"}, when=at(0, 1))

    assert len(kept(lane)) == MAX_ABSENCES
    assert kept(lane)[person_of("ann"), DAY + 3] == (DAY + 4, at(0, 1))
    assert [(r.reason, r.field) for r in lane.rejections()] == [("too_many_absences", "properties.from")]
    assert lane.state.ledger.fields_rejected == 1


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({"scope": None}, "scope"),
        ({"scope": "team"}, "scope"),
        ({"scope": []}, "scope"),
        ({"from": None}, "from"),
        ({"from": "soon"}, "from"),
        ({"from": iso(400), "to": iso(401)}, "from"),
        ({"from": iso(400), "to": None, "withdrawn": True}, "from"),
        ({"to": None}, "to"),
        ({"to": iso(0)}, "to"),
        ({"to": iso(1 + 92)}, "to"),
        ({"to": True}, "to"),
        ({"to": 1e300}, "to"),
    ],
)
def test_an_absence_that_cannot_be_meant_so_is_dead_lettered_with_its_field(
    properties: dict[str, Any], field: str
) -> None:
    lane = UsageLane()
    away(lane, 1, 5, properties=properties)

    assert [(r.reason, r.field) for r in lane.rejections()] == [("bad_absence", f"properties.{field}")]
    assert "acme" not in lane.state.accounts


def test_an_absence_of_a_person_needs_a_person() -> None:
    lane = UsageLane()
    away(lane, 1, 5, user="", properties={"scope": "person"})

    assert [(r.reason, r.field) for r in lane.rejections()] == [("bad_absence", "properties.scope")]


def test_a_country_that_is_none_costs_that_trait_alone() -> None:
    lane = UsageLane()
    lane.event("g", kind="GROUP", properties={"country": "Germany", "seats": 4})
    lane.event("h", account="globex", kind="GROUP", properties={"country": "de-by"})

    assert [(r.reason, r.field) for r in lane.rejections()] == [("bad_trait", "traits.country")]
    assert "such as DE" in lane.rejections()[0].detail
    assert lane.state.accounts["acme"].fact("seats") == 4
    assert lane.state.accounts["globex"].fact("country") == "DE-BY"
