"""What a tracking plan declares beside the default: several sorts of cases, several surveys, counts and milestones."""

from __future__ import annotations

import pytest

from tests.support.plans import fact_traits, plan_of
from tests.support.scorer import DAY, UsageLane, at, days_of

PLAN = plan_of(
    {
        "Report Shared": ["counts.value", "counts.exports", "milestones.first_value", "features.reports"],
        "Report Exported": ["counts.exports", "features.sheets"],
        "Integration Connected": ["milestones.integrated"],
        "Ticket Opened": ["cases.tickets.opened"],
        "Ticket Closed": ["cases.tickets.closed"],
        "Invoice Sent": ["cases.invoices.opened"],
        "Invoice Paid": ["cases.invoices.closed"],
        "Invoice Voided": ["cases.invoices.closed"],
        "NPS Submitted": ["answers.nps"],
        "Rated": ["answers.csat"],
    },
    cases={"tickets": {"id": "ticket_id"}, "invoices": {"id": "invoice"}},
    answers={"nps": {"score": "score", "scale": [0, 10]}, "csat": {"score": "stars", "scale": [1, 5]}},
    features={"reports": "core", "sheets": "deep"},
)


def test_each_sort_of_cases_is_apart_and_counted_by_day() -> None:
    lane = UsageLane(PLAN)
    for number, (name, properties) in enumerate([
        ("Ticket Opened", {"ticket_id": 1}), ("Invoice Sent", {"invoice": 1}), ("Invoice Sent", {"invoice": 2}),
        ("invoice_voided", {"invoice": 1}),
    ]):  # fmt: skip
        lane.event(f"e{number}", when=at(0, number + 1), name=name, properties=properties)
    lane.event("late", when=at(-3), name="Invoice Sent", properties={"invoice": 3})
    account = lane.state.accounts["acme"]
    assert (account.today("invoices_opened"), account.today("invoices_closed"), account.today("tickets_opened")) == (
        2,
        1,
        1,
    )
    lane.close(0)

    assert account.open_since("invoices") == [at(-3), at(0, 3)]
    assert account.open_since("tickets") == [at(0, 1)]
    sent = account.history("invoices_opened", DAY)
    assert sent is not None
    assert sent[-4:].tolist() == [1, 0, 0, 2]
    assert days_of(account) == {}
    assert "first_activity" not in lane.snapshots()[-1]["dates"]


def test_each_survey_has_its_answers_and_its_scale() -> None:
    lane = UsageLane(PLAN)
    for number, (user, name, field, score) in enumerate([
        ("ann", "Rated", "stars", 3), ("bob", "Rated", "stars", 4), ("ann", "NPS Submitted", "score", 9),
        ("cid", "Rated", "stars", 0), ("cid", "Rated", "stars", 6),
    ]):  # fmt: skip
        lane.event(f"e{number}", user=user, when=at(0, number), name=name, properties={field: score})
    account = lane.state.accounts["acme"]
    csat, nps = account.sentiment("csat", at(0, 9)), account.sentiment("nps", at(0, 9))

    assert (csat.responses, csat.mean, csat.detractors_90, csat.lowest_user_90) == (2, 3.5, 1, "ann")
    assert (nps.responses, nps.latest_score, nps.detractors_90) == (1, 9, 0)
    assert [(r.reason, r.field, r.detail) for r in lane.rejections()] == [
        ("bad_score", "properties.stars", "send a whole number from 1 to 5")
    ] * 2


def test_one_event_is_counted_in_each_way_that_names_it() -> None:
    lane = UsageLane(PLAN)
    lane.event("e1", name="Report Shared", when=at(0, 1))
    lane.event("e2", name="Report Exported", when=at(0, 2))
    lane.event("e3", user="bob", name="Report Shared", when=at(-5))
    account = lane.state.accounts["acme"]

    assert (account.today("events"), account.today("active"), account.today("value"), account.today("exports")) == (
        2,
        1,
        1,
        2,
    )
    lane.close(0)
    assert [account.daily_counts.get(account.kinds.counts["exports"], DAY + day) for day in (-5, 0)] == [1, 2]
    assert account.milestone("first_value") == account.milestone("first_activity") == DAY - 5
    assert account.milestone("integrated") == -1
    used = {name: account.last_used(name) for name in ("reports", "sheets")}
    assert {name: sorted(days.tolist()) for name, days in used.items() if days is not None} == {
        "reports": [DAY - 5, DAY], "sheets": [0, DAY],
    }  # fmt: skip


def test_a_milestone_of_the_plan_is_told_at_once() -> None:
    lane = UsageLane(PLAN)
    lane.event("e1", when=at(0, 1))
    lane.tick(at(0, 2))
    published = len(lane.snapshots())
    lane.event("e2", when=at(0, 3), name="Integration Connected")

    assert lane.state.accounts["acme"].milestone("integrated") == DAY
    assert lane.state.queue == {"acme"}
    assert published == 1


def test_what_is_not_declared_is_unknown() -> None:
    account = UsageLane().state.new_account("acme")

    assert (account.history("exports", DAY), account.today("exports")) == (None, 0)
    assert (account.milestone("integrated"), account.fact("tier"), account.fact_history("tier")) == (-1, None, [])
    assert account.open_since("invoices") == []
    assert account.sentiment("csat", at()).responses == 0


def test_state_connects_the_dimension_named_after_it_or_itself() -> None:
    lane = UsageLane(PLAN)
    lane.event("e1", name="Report Exported", when=at(0, 1))
    lane.event("e2", name="Invoice Sent", properties={"invoice": 1}, when=at(0, 2))
    assert lane.state.own_connected == {"usage", "breadth", "counts.exports", "cases.invoices"}

    lane.event("e3", name="Report Shared", when=at(0, 3))
    assert "value" in lane.state.connected


def test_two_surveys_share_the_cap_on_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.scorer.domain.accounts.survey_answers.MAX_ANSWERS", 2)
    lane = UsageLane(PLAN)
    for number in range(5):
        lane.event(f"e{number}", user=f"u{number}", when=at(0, number), name="Rated", properties={"stars": 3})

    assert (lane.state.ledger.answers_dropped, lane.state.ledger.applied) == (4, 5)


def test_a_fact_of_another_type_and_a_survey_of_another_scale_start_anew() -> None:
    first, second = (
        plan_of(
            {"Rated": ["answers.csat"]},
            answers={"csat": {"score": "score", "scale": scale}},
            group_traits=fact_traits(size=(type_, "size"), tier=("text", "tier")),
        )
        for type_, scale in (("text", [0, 10]), ("number", [1, 5]))
    )
    lane = UsageLane(first)
    for hour, size in ((1, "5"), (2, "7")):
        lane.event(f"g{hour}", when=at(0, hour), kind="GROUP", properties={"size": size, "tier": size})
    lane.event("r1", when=at(0, 3), name="Rated", properties={"score": 4})
    same, other = (lane.reopened(plan).state.accounts["acme"] for plan in (first, second))

    assert (same.fact("size"), same.sentiment("csat", at(0, 4)).responses) == ("7", 1)
    assert (other.fact("size"), other.fact_history("size")) == (None, [])
    assert other.fact_history("tier") == [(at(0, 1), "5"), (at(0, 2), "7")]
    assert other.sentiment("csat", at(0, 4)).responses == 0
