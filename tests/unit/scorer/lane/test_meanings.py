"""What the events, pages and traits of a tracking plan come to mean in the state of accounts."""

from __future__ import annotations

import pytest

from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.lane.meanings import NO_ACTIVITY, PLAIN, Meanings
from services.shared.plan_file import default_plan
from services.shared.tracking_plan.reading import read_plan
from tests.support.plans import default_without, fact_traits, plan_of
from tests.support.scorer import DAY, UsageLane, at, days_of


def test_the_default_declares_what_there_is_and_neither_roles_nor_features() -> None:
    assert kinds_of(default_plan()).state == {
        "counts.events", "counts.active", "counts.value", "counts.tickets_opened", "counts.tickets_closed", "cases.tickets",
        "answers.nps", "facts.name", "facts.owner", "facts.revenue", "facts.seats", "facts.plan", "facts.contract_start_day",
        "facts.go_live_day", "facts.renewal_day", "facts.parent", "facts.country", "absences.planned", "milestones.first_activity",
        "milestones.first_value", "people.active",
    }  # fmt: skip


def test_an_event_may_be_a_count_a_milestone_and_a_feature_at_once() -> None:
    plan = plan_of(
        {
            "Report Exported": ["counts.work", "counts.exports", "milestones.first_export", "features.reports"],
            "Query Run": ["counts.work"],
            "Ticket Opened": ["cases.tickets.opened"],
            "Ticket Closed": ["cases.tickets.closed"],
        },
        cases={"tickets": {"id": "ticket_id"}},
        features={"reports": "core"},
    )
    meanings = Meanings(plan)
    kinds = meanings.kinds
    meaning = meanings.all[meanings.number("REPORT  exported")]

    assert meaning.counts == (kinds.counts["exports"], kinds.counts["work"])
    assert (meaning.milestones, meaning.features) == ((kinds.milestones["first_export"],), (0,))
    assert 0 < meanings.number("Query Run") <= meanings.last_use < meanings.number("Ticket-Opened")
    assert meanings.number("Dashboard Viewed") == PLAIN


def test_what_is_ignored_is_applied_and_no_activity() -> None:
    plan = read_plan({"events": {"Password Reset": {"means": "ignored"}, "Report Viewed": None}})
    lane = UsageLane(plan)
    lane.event("e1", name="password_reset")
    lane.event("e2", name="Password Reset", when=at(-3))
    assert (Meanings(plan).number("Password Reset"), Meanings(plan).number("Report Viewed")) == (NO_ACTIVITY, PLAIN)
    assert (lane.state.ledger.applied, lane.state.accounts["acme"].today("events")) == (2, 0)

    lane.event("e3", name="Report Viewed")
    lane.close(0)
    assert days_of(lane.state.accounts["acme"]) == {DAY: (1, 1)}


@pytest.mark.parametrize("kind", ["PAGE", "SCREEN"])
def test_a_page_means_what_the_plan_says_of_its_name(kind: str) -> None:
    plan = read_plan(
        {
            "events": {"pricing": {"means": ["counts.other"]}},
            "pages": {
                "pricing": {"means": ["counts.pricing_views", "features.pricing"]},
                "status": {"means": "ignored"},
            },
            "features": {"pricing": "deep"},
        }
    )
    lane = UsageLane(plan)
    for number, name in enumerate(["Pricing", "status", "home", ""]):
        lane.event(f"e{number}", kind=kind, name=name, when=at(0, number))
    lane.event("late", kind=kind, name="PRICING", when=at(-2))
    account = lane.state.accounts["acme"]
    assert [account.today(name) for name in ("events", "pricing_views", "other")] == [3, 1, 0]

    lane.close(0)
    assert account.daily_counts.get(account.kinds.counts["pricing_views"], DAY - 2) == 1
    used = account.last_used("pricing")
    assert used is not None
    assert used.tolist() == [DAY]


def test_a_dimension_that_a_new_plan_has_no_state_for_counts_no_more() -> None:
    lane = UsageLane()
    lane.event("e1", name="Value Delivered")
    lane.event("e2", name="Ticket Opened", properties={"ticket_id": "t"})
    assert {"value", "support"} <= lane.state.connected

    bare = UsageLane(plan=read_plan(default_without("cases.")), start=0)
    for key, value in lane.state_records().items():
        bare.state.restore(key, value)
    for _ in bare.state.restoring():
        pass

    assert lane.state.connected - bare.state.connected == {"support"}


def test_the_first_value_connects_its_dimension_where_value_is_not_counted() -> None:
    plan = plan_of({"Report Exported": ["milestones.first_value"]})
    lane = UsageLane(plan=plan)
    lane.event("e1", name="Report Exported")

    assert "value" in lane.state.connected


def test_a_change_that_no_snapshot_shows_has_nobody_evaluated() -> None:
    plan = plan_of(group_traits=fact_traits(region=("text", "region"), seats=("whole_number", "seats")))
    lane = UsageLane(plan=plan)
    lane.event("e1", kind="GROUP", properties={"region": "north"})
    lane.tick(at(0, 1))
    before = len(lane.snapshots())
    lane.event("e2", when=at(0, 1), kind="GROUP", properties={"region": "south"})
    assert not lane.state.queue
    lane.event("e3", when=at(0, 1), kind="GROUP", properties={"seats": 5})
    lane.tick(at(0, 1) + 1_000)

    assert len(lane.snapshots()) == before + 1
