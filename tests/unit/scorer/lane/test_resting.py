"""An account that has been quiet for long costs one evaluation a week, unless time alone can change it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.scorer import DAY, UsageLane, at


def close_days(lane: UsageLane, account: str = "acme") -> list[int]:
    return [s["day"] - DAY for s in lane.snapshots(account) if s["reason"] == "DAY_CLOSE"]


def test_a_quiet_account_is_evaluated_each_day_for_six_weeks_and_then_each_week() -> None:
    lane = UsageLane()
    lane.event("e1")
    for day in range(80):
        lane.close(day)

    assert close_days(lane) == [*range(43), 49, 56, 63, 70, 77]


def test_a_resting_account_that_is_touched_is_evaluated_each_day_again() -> None:
    lane = UsageLane()
    lane.event("e1")
    for day in range(52):
        lane.close(day)
    lane.event("e2", when=at(52, 1))
    for day in range(52, 60):
        lane.close(day)

    assert close_days(lane)[-9:] == [49, *range(52, 60)]


def test_a_late_event_is_told_at_once_though_the_account_rests() -> None:
    lane = UsageLane()
    lane.event("e1")
    for day in range(60):
        lane.close(day)
    lane.event("e2", user="bob", when=at(10), received_at=at(60, 1))
    lane.tick(at(60, 2))

    assert lane.snapshots("acme")[-1]["reason"] == "RESTATED"


@pytest.mark.parametrize(
    "awaited",
    [
        {"name": "Ticket Opened", "properties": {"ticket_id": 1}},
        {"name": "NPS Submitted", "properties": {"score": 3}},
        {"kind": "GROUP", "name": "", "properties": {"renewal_date": "2025-03-01"}},
    ],
)
def test_what_time_alone_will_change_is_evaluated_each_day(awaited: dict[str, Any]) -> None:
    lane = UsageLane()
    lane.event("e1")
    lane.event("e2", when=at(0, 1), **awaited)
    for day in range(80):
        lane.close(day)

    assert close_days(lane) == [*range(80)]


def test_a_lane_restored_in_a_week_of_rest_goes_on_with_it() -> None:
    lane = UsageLane()
    lane.event("e1")
    for day in range(52):
        lane.close(day)
    other = lane.reopened()
    for day in range(52, 80):
        other.close(day)

    assert close_days(other) == [56, 63, 70, 77]
