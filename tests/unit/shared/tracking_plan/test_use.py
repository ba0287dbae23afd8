"""What is use of the product by the tracking plan: the mark of ingest says what the scorer counts."""

from __future__ import annotations

from itertools import count, product
from typing import Any

import pytest

from services.scorer.domain.lane.meanings import NO_ACTIVITY, PLAIN, Meanings
from services.shared.tracking_plan.plan import EventPlan
from services.shared.tracking_plan.reading import read_plan
from services.shared.tracking_plan.traffic import TrafficPlan
from services.shared.tracking_plan.use import is_use
from tests.support.plans import DEFAULT
from tests.support.scorer import UsageLane, at

MEANT: dict[str, tuple[Any, bool]] = {
    "nothing said": (None, True),
    "use": ({"means": "use"}, True),
    "ignored": ({"means": "ignored"}, False),
    "a count": ({"means": ["counts.exports"]}, True),
    "a milestone": ({"means": ["milestones.first_value"]}, True),
    "a feature": ({"means": ["features.reports"]}, True),
    "all three": ({"means": ["counts.value", "milestones.first_export", "features.reports"]}, True),
    "a case that opens": ({"means": ["cases.tickets.opened"]}, False),
    "a case that closes": ({"means": ["cases.tickets.closed"]}, False),
    "an answer": ({"means": ["answers.nps"]}, False),
    "an absence": ({"means": ["absences.planned"]}, False),
}
STATE: dict[str, Any] = {
    "cases": {"tickets": {"id": "id"}},
    "answers": {"nps": {"score": "score", "scale": [0, 10]}},
    "features": {"reports": "core"},
}
EVENTS = {name: plan for name, (plan, _) in MEANT.items()}
PLANS = {
    "events": read_plan({"events": EVENTS, **STATE}),
    "pages": read_plan({"pages": EVENTS, **STATE}),
    "events and pages": read_plan({"events": EVENTS, "pages": EVENTS, **STATE}),
    "the default": read_plan(DEFAULT),
    "nothing": read_plan({}),
}
KINDS = ("TRACK", "PAGE", "SCREEN", "IDENTIFY", "GROUP", "ALIAS")
SAID = {"id": "t1", "ticket_id": "t1", "score": 9, "from": "2099-01-01", "scope": "person"}
_numbers = count()


def counted(lane: UsageLane, kind: str, name: str) -> bool:
    """Return whether the scorer counts an event as activity."""
    before = lane.state.accounts["acme"].today("events")
    lane.event(f"e{next(_numbers)}", kind=kind, name=name, when=at(0, 9), properties=SAID)
    return bool(lane.state.accounts["acme"].today("events") - before)


@pytest.mark.parametrize("of", PLANS)
def test_the_mark_of_every_kind_and_name_is_what_the_scorer_counts(of: str) -> None:
    plan = PLANS[of]
    traffic, lane = TrafficPlan(plan), UsageLane(plan)
    lane.event("the account", kind="GROUP", when=at(0, 8))
    names = [*plan.events, *plan.pages, "A_COUNT", "an-answer", "not named", ""]

    marked = {(kind, name): traffic.is_use(kind, name) for kind, name in product(KINDS, names)}

    assert marked == {(kind, name): counted(lane, kind, name) for kind, name in marked}
    assert marked["TRACK", "not named"] and marked["PAGE", ""] and marked["SCREEN", "not named"]
    assert not any(use for (kind, _), use in marked.items() if kind in {"IDENTIFY", "GROUP", "ALIAS"})


@pytest.mark.parametrize("meaning", MEANT)
def test_what_an_event_means_decides(meaning: str) -> None:
    means, use = MEANT[meaning]
    meanings, traffic = Meanings(PLANS["events"]), TrafficPlan(PLANS["events"])
    number = meanings.number(meaning)

    assert is_use(EventPlan(**(means or {}))) == use
    assert traffic.is_use("TRACK", meaning) == traffic.is_use("TRACK", meaning.upper().replace(" ", "_")) == use
    assert (PLAIN <= number <= meanings.last_use) == use
    assert (number == NO_ACTIVITY) == (meaning == "ignored")
    assert traffic.is_use("PAGE", meaning)  # a page of that name, which the plan does not name


def test_what_the_plan_does_not_name_is_use() -> None:
    assert is_use(None)


def test_what_people_record_and_what_billing_sends_is_no_use_by_the_default_plan() -> None:
    traffic = TrafficPlan(PLANS["the default"])

    assert {name for name in PLANS["the default"].events if traffic.is_use("TRACK", name)} == {
        "Value Delivered", "Report Shared", "Workflow Completed",
    }  # fmt: skip
