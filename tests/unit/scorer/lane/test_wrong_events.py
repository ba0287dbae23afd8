"""What is wrong with an event dead-letters it, or the part at fault, and changes nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.scorer import UsageLane, at


@pytest.mark.parametrize("score", ["²", "①", "7²", "", "-1", "11", "1e1", 7.5, True, None, [], "9" * 5000])
def test_a_score_that_is_no_whole_number_is_dead_lettered_whatever_it_looks_like(score: Any) -> None:
    lane = UsageLane()
    lane.event("e1", name="NPS Submitted", properties={"score": score})

    assert [r.reason for r in lane.rejections()] == ["bad_score"]
    assert lane.state.ledger.dead_lettered == 1


@pytest.mark.parametrize(
    ("age", "field"), [(237, "late_applied"), (238, "late_applied"), (239, "too_late"), (5000, "too_late")]
)
def test_an_event_older_than_238_days_is_dead_lettered(age: int, field: str) -> None:
    lane = UsageLane(start=at(0, 1))
    lane.event("e1", when=at(-age, 1), received_at=at(0, 1))

    assert getattr(lane.state.ledger, field) == 1
    assert [r.reason for r in lane.rejections()] == (["too_late"] if field == "too_late" else [])


def test_an_event_that_claims_to_have_happened_after_its_record_counts_when_it_came() -> None:
    lane = UsageLane(start=at(0, 23.9))
    lane.event("e1", when=at(1, 0.1), received_at=at(0, 23.9))
    lane.event("e2", when=at(1, 5), received_at=at(0, 23.9))

    acme = lane.state.accounts["acme"]
    assert (acme.today("events"), acme.today("active")) == (2, 1)
    assert not lane.rejections()
    assert (lane.state.ledger.applied, lane.state.ledger.ahead) == (2, 2)


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"name": "Ticket Opened"}, "bad_case", "properties.ticket_id"),
        ({"name": "Ticket Closed", "properties": {"ticket_id": ""}}, "bad_case", "properties.ticket_id"),
        ({"name": "Ticket Closed", "properties": {"ticket_id": "x" * 129}}, "bad_case", "properties.ticket_id"),
        ({"name": "Ticket Closed", "properties": {"ticket_id": True}}, "bad_case", "properties.ticket_id"),
        ({"name": "NPS Submitted", "properties": {"score": 11}}, "bad_score", "properties.score"),
        ({"name": "NPS Submitted", "properties": {"score": 6.5}}, "bad_score", "properties.score"),
        ({"name": "NPS Submitted", "properties": {}}, "bad_score", "properties.score"),
        ({"name": "NPS Submitted", "properties": "[" * 5000}, "bad_properties", "properties"),
        ({"kind": "GROUP", "properties": "[1]"}, "bad_properties", "properties"),
        ({"kind": "GROUP", "properties": "{"}, "bad_properties", "properties"),
        ({"kind": "UNKNOWN"}, "unknown_kind", "kind"),
    ],
)  # fmt: skip
def test_a_wrong_event_is_dead_lettered_with_its_field_and_changes_nothing(
    changes: dict[str, Any], reason: str, field: str
) -> None:
    lane = UsageLane()
    lane.event("e1", **changes)

    assert [(r.reason, r.field) for r in lane.rejections()] == [(reason, field)]
    assert not lane.state.accounts
    assert lane.state.ledger.dead_lettered == lane.state.ledger.received == 1


def test_a_wrong_trait_is_dead_lettered_and_the_others_are_kept() -> None:
    lane = UsageLane()
    lane.event(
        "e1", kind="GROUP", properties={"seats": "many", "owner": "mia", "renewal_date": "2025-03-01", "other": [1]}
    )
    lane.tick(at(0, 1))

    assert [(r.reason, r.field) for r in lane.rejections()] == [("bad_trait", "traits.seats")]
    facts = lane.snapshots()[-1]["facts"]
    assert (facts["owner"], facts["seats"], facts["renewal_day"]) == ("mia", None, 20_148)
    assert lane.state.ledger.fields_rejected == lane.state.ledger.applied == 1
