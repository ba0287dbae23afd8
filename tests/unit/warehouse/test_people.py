"""User ids in the place of pseudonyms, where they are still known."""

from __future__ import annotations

from typing import Any

import pytest

from services.warehouse.domain import people

ANN, BOB = "u_5pQ0m2c9XbT1r8sZk4Yw", "u_Jd03hHq8vRk2L5nW7xAe"


def test_pseudonyms_are_found_wherever_an_answer_has_text() -> None:
    told = {"a": [f"{ANN} answered 3 out of 10", {"user": BOB}], "n": 7, "none": None, "other": "u_short"}

    assert people.pseudonyms_in(told) == {ANN, BOB}


def test_who_is_not_known_any_more_keeps_the_pseudonym() -> None:
    told = {"text": f"{ANN} answered 3, {BOB} 4", "list": [{"lowest_user": ANN}], "n": 7, "none": None}

    assert people.named(told, {ANN: "ann"}) == {
        "text": f"ann answered 3, {BOB} 4",
        "list": [{"lowest_user": "ann"}],
        "n": 7,
        "none": None,
    }


EVENT = {
    "source": "web", "environment": "production", "event_id": "1", "account": "acme", "user": ANN, "via": "EVENT",
    "occurred_at": 7, "received_at": 8,
}  # fmt: skip
ATTRIBUTED = {**EVENT, "via": "USER"}


def of(event: dict[str, Any], *details: dict[str, Any]) -> people.Found | None:
    return people.of(event, people.by_event([{**EVENT, **each} for each in details]))


@pytest.mark.parametrize(("account", "found"), [("", True), ("acme", True), ("globex", False)])
def test_the_details_of_an_event_are_those_of_its_account_or_of_none(account: str, found: bool) -> None:
    assert (of(EVENT, {"account": account}) is not None) == found


@pytest.mark.parametrize("other", [{"source": "app"}, {"environment": "staging"}, {"event_id": "2"}, {"user": BOB}])
def test_the_details_of_another_event_are_not_those_of_this_one(other: dict[str, Any]) -> None:
    assert of(EVENT, other) is None
    assert of(EVENT, {**other, "account": ""}) is None


def test_of_details_of_the_same_person_those_that_name_the_account_are_taken() -> None:
    found = of(EVENT, {"account": "", "extra": "none"}, {"user": BOB}, {"extra": "acme"})

    assert found is not None
    assert found["extra"] == "acme"


def test_an_event_that_went_to_the_id_after_a_login_keeps_the_details_of_the_id_before() -> None:
    before = {"account": "", "user": BOB}

    assert of(ATTRIBUTED, before) is not None
    assert of(ATTRIBUTED, {**before, "received_at": 9}) is None
    assert of(ATTRIBUTED, {**before, "occurred_at": 6}) is None
    assert of(ATTRIBUTED, {**before, "account": "acme"}) is None
    assert of(EVENT, before) is None


def test_where_two_people_could_be_meant_nobody_is_named() -> None:
    assert of(ATTRIBUTED, {"account": "", "user": BOB}, {"account": "", "user": "u_x"}) is None
