"""What is shown of an event as it arrives, and how much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.ingest.domain.arrivals import Arrivals, Budget


@pytest.fixture(scope="module")
def example(project_root: Path) -> dict[str, Any]:
    """An event as it is on the log."""
    return dict(json.loads((project_root / "schemas/usage_event/examples/track.json").read_text()))


def test_an_event_that_names_its_account_is_accepted(example: dict[str, Any]) -> None:
    arrival = Arrivals().of_event(example)

    assert (arrival.verdict, arrival.account, arrival.via) == ("accepted", example["account"], "event")
    assert "properties" not in arrival.__struct_fields__


def test_an_event_without_an_account_is_known_again_once_it_has_one(example: dict[str, Any]) -> None:
    arrivals = Arrivals()

    first = arrivals.of_event(example | {"account": "", "via": "UNKNOWN"})
    later = arrivals.of_event(example | {"account": "acme", "via": "USER"})
    again = arrivals.of_event(example | {"account": "acme", "via": "USER", "forwards": 1})

    assert (first.verdict, first.account, first.via) == ("unattributed", "", "")
    assert (later.verdict, later.account, later.via) == ("attributed", "acme", "user")
    assert (first.source, first.id) == (later.source, later.id)
    assert again.verdict == "attributed"


def test_a_way_to_an_account_that_this_version_does_not_know_is_not_shown(example: dict[str, Any]) -> None:
    arrival = Arrivals().of_event(example | {"via": "UNKNOWN"})

    assert (arrival.verdict, arrival.account, arrival.via) == ("accepted", example["account"], "")


def test_of_events_without_an_account_only_the_latest_are_remembered(example: dict[str, Any]) -> None:
    arrivals = Arrivals()
    for number in range(10_001):
        arrivals.of_event(example | {"account": "", "event_id": str(number)})

    assert arrivals.of_event(example | {"event_id": "0"}).verdict == "accepted"
    assert arrivals.of_event(example | {"event_id": "1"}).verdict == "attributed"


def test_a_refusal_says_why_and_not_what_was_sent(project_root: Path) -> None:
    letter = json.loads((project_root / "schemas/dead_letter/examples/bad_timestamp.json").read_text())

    arrival = Arrivals.of_letter(letter | {"detail": "x" * 1000})

    assert (arrival.verdict, arrival.code, arrival.field) == ("rejected", letter["reason"], letter["field"])
    assert len(arrival.detail) == 300
    assert "original" not in arrival.__struct_fields__


def test_a_budget_gives_so_many_a_second_and_a_second_at_once() -> None:
    budget = Budget(10, 100.0)

    assert sum(budget.take(100.0) for _ in range(50)) == 10
    assert sum(budget.take(100.5) for _ in range(50)) == 5
    assert sum(budget.take(200.0) for _ in range(50)) == 10
