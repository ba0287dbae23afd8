"""User ids in the place of pseudonyms, where they are still known."""

from __future__ import annotations

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


@pytest.mark.parametrize(("account", "found"), [("", True), ("acme", True), ("globex", False)])
def test_the_details_of_an_event_are_those_of_its_account_or_of_none(account: str, found: bool) -> None:
    details = people.by_event([{"source": "web", "event_id": "1", "account": account}])

    assert (people.of({"source": "web", "event_id": "1", "account": "acme"}, details) is not None) == found
    assert people.of({"source": "app", "event_id": "1", "account": "acme"}, details) is None
