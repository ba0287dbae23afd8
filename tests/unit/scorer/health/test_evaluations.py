"""When a touched account is evaluated, and what is published of it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.scorer import UsageLane, at


def test_a_touch_is_evaluated_on_the_next_tick_and_not_twice_a_minute() -> None:
    lane = UsageLane()
    lane.event("e1", when=at(0, 1))
    lane.event("e2", when=at(0, 1) + 500)
    assert not lane.snapshots()
    lane.tick(at(0, 1) + 1000)
    assert [(s["reason"], s["trigger_received_at"], s["at"]) for s in lane.snapshots()] == [
        ("TOUCH", at(0, 1), at(0, 1) + 1000)
    ]

    lane.event("late", user="bob", when=at(-1), received_at=at(0, 1) + 2000)
    lane.tick(at(0, 1) + 3000)
    assert len(lane.snapshots()) == 1
    lane.event("e3", when=at(0, 1) + 61_000)
    lane.tick(at(0, 1) + 62_000)
    assert [s["reason"] for s in lane.snapshots()] == ["TOUCH", "RESTATED"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Ticket Opened", "properties": {"ticket_id": 1}},
        {"name": "NPS Submitted", "properties": {"score": 3}},
        {"kind": "GROUP", "properties": {"seats": 4}},
    ],
)
def test_what_is_urgent_does_not_wait_for_the_minute(changes: dict[str, Any]) -> None:
    lane = UsageLane()
    lane.event("e1", when=at(0, 1))
    lane.tick(at(0, 1) + 1000)
    lane.event("e2", when=at(0, 1) + 2000, **changes)
    lane.tick(at(0, 1) + 3000)

    assert [s["reason"] for s in lane.snapshots()] == ["TOUCH", "URGENT"]


def test_nothing_new_publishes_nothing() -> None:
    lane = UsageLane()
    for minute in range(0, 300, 2):
        lane.event(f"e{minute}", when=at(0, 1) + minute * 60_000)
        lane.tick(at(0, 1) + minute * 60_000 + 1000)

    assert len(lane.snapshots()) == 1


def test_snapshots_are_numbered_and_explain_their_change_exactly() -> None:
    lane = UsageLane()
    rnd = random.Random(3)
    for day in range(90):
        for user in rnd.sample("abcdefgh", 1 + rnd.randrange(6)):
            lane.event(f"e{day}{user}", user=user, when=at(day, 9), name=rnd.choice(["Viewed", "Report Shared"]))
        if day % 9 == 3:
            lane.event(f"t{day}", when=at(day, 10), name="Ticket Opened", properties={"ticket_id": day})
        if day == 50:
            lane.event("n", when=at(day, 10), name="NPS Submitted", properties={"score": 2})
        lane.tick(at(day, 11))
        lane.close(day)
    snapshots = lane.snapshots("acme")

    assert [s["sequence"] for s in snapshots] == list(range(1, len(snapshots) + 1))
    before = None
    for snapshot in snapshots:
        parts = snapshot["parts"]
        assert sum(part["contribution_tenths"] for part in parts) == snapshot["score_tenths"]
        assert snapshot["previous_score_tenths"] == before
        assert sum(part["change_tenths"] for part in parts) == snapshot["score_tenths"] - (before or 0)
        before = snapshot["score_tenths"]
    assert {"LEARNING", "YELLOW"} <= {s["band"] for s in snapshots}
