"""What the quick way remembers takes a bounded amount of memory, whatever senders call their people and events."""

from __future__ import annotations

import pytest

from services.ingest.domain.quick.way import QuickWay
from services.ingest.domain.request import Request
from tests.support.ingest import rules

_REQUEST = Request("web", "production", 1_800_000_000_000)
_LARGEST = 900_000


@pytest.mark.parametrize(
    ("account", "remembered"),
    [("a" * 200, True), ("\U0001f600" * 50, True), ("\U0001f600" * 90, False)],
    ids=["letters", "few emoji", "many emoji"],
)
def test_a_person_is_remembered_by_the_memory_that_its_ids_take(account: str, remembered: bool) -> None:
    way = QuickWay(rules(), _LARGEST)
    origin = way.origin(_REQUEST)
    assert origin is not None
    assert way.meet(_REQUEST, account, "kim", "") is not None

    assert ((account, "kim", "") in origin.persons) == remembered


@pytest.mark.parametrize(
    ("name", "remembered"),
    [("a" * 300, True), ("\U0001f600" * 70, True), ("\U0001f600" * 90, False)],
    ids=["letters", "few emoji", "many emoji"],
)
def test_a_name_is_remembered_by_the_memory_that_it_takes(name: str, remembered: bool) -> None:
    way = QuickWay(rules(), _LARGEST)
    assert way.name("TRACK", name) is not None

    assert (name in way.names["TRACK"]) == remembered
