"""Log time: who may move it, and how far."""

from __future__ import annotations

from typing import Any

import pytest

from services.scorer.domain.lane.clock import LONGEST_STEP_MS, SWEEP_MS
from services.scorer.domain.lane.controls import StepTooLong
from tests.support.scorer import DAY, UsageLane, at, clock, closes, fleet, measures, tick

MINUTE = 60_000


# two clocks


def test_log_time_is_the_greatest_time_of_a_record_and_never_goes_back() -> None:
    lane = UsageLane(start=0)
    lane.event("e1", when=at(0, 5))
    assert lane.state.clock.now == at(0, 5)
    lane.tick(at(0, 3))
    lane.event("e2", when=at(0, 4))
    assert lane.state.clock.now == at(0, 5)
    lane.tick(at(0, 6))
    lane.event("e3", when=at(0, 2), received_at=at(0, 7))

    assert lane.state.clock.now == at(0, 7)


@pytest.mark.parametrize("ahead_days", [1, 2, 100])
def test_a_scorer_whose_clock_is_ahead_moves_nothing(ahead_days: int) -> None:
    lane = UsageLane(start=at(0, 8))
    lane.event("e1", when=at(0, 8))
    for second in range(1, 120):
        lane.tick(at(ahead_days, 8) + second * 1000, appended_at=at(0, 8) + second * 1000)

    assert lane.state.clock.now == at(0, 8) + 119_000
    assert not lane.partials()


def test_a_scorer_whose_clock_is_behind_holds_nothing_up_where_events_come() -> None:
    lane = UsageLane(start=at(0, 8))
    lane.tick(at(0, 7), appended_at=at(0, 8) + 1000)
    assert lane.state.clock.now == at(0, 8)
    lane.event("e1", when=at(0, 9))

    assert lane.state.clock.now == at(0, 9)


def test_an_ingest_25_hours_ahead_moves_nothing_and_its_events_count_when_they_came() -> None:
    lane = UsageLane(start=at(0, 8))
    for number in range(1000):
        wrong = number % 10 == 0
        right = at(0, 8) + number * 100
        claimed = right + 25 * 3_600_000 if wrong else right
        lane.event(f"e{number}", user=f"u{number % 7}", when=claimed, received_at=claimed, appended_at=right)

    assert lane.state.clock.now == at(0, 8) + 99_900
    assert (lane.state.ledger.applied, lane.state.ledger.ahead, lane.state.ledger.dead_lettered) == (1000, 100, 0)
    assert lane.state.accounts["acme"].events_today == 1000
    assert not lane.partials()
    assert not lane.rejections()


# long steps


def test_a_step_of_seven_days_is_taken_and_a_longer_one_waits() -> None:
    lane = UsageLane(start=at(0, 8))
    lane.tick(at(0, 8) + LONGEST_STEP_MS)
    assert lane.state.clock.now == at(0, 8) + LONGEST_STEP_MS
    now = lane.state.clock.now
    lane.tick(now + LONGEST_STEP_MS + 1)

    assert lane.state.clock.now == now
    assert lane.state.clock.asked == now + LONGEST_STEP_MS + 1
    assert lane.state.ledger.steps_refused == 1
    with pytest.raises(StepTooLong):
        lane.event("e1", when=now + LONGEST_STEP_MS + 1)
    assert lane.state.ledger.received == 0


def test_a_clock_record_accepts_the_step() -> None:
    lane = UsageLane(start=at(0, 8))
    lane.tick(at(30))
    lane.clock("ACCEPT", at(30, 1))
    lane.event("e1", when=at(30, 2))

    assert (lane.state.clock.now, lane.state.clock.asked) == (at(30, 2), 0)
    assert lane.state.accounts["acme"].events_today == 1


def test_an_event_that_waits_is_folded_with_the_answer_from_further_down_the_log() -> None:
    accepted, refused = UsageLane(start=at(0, 8)), UsageLane(start=at(0, 8))
    accepted.fold.controls.answer(50, at(30, 3))
    refused.fold.controls.answer(50, 0)
    for lane in (accepted, refused):
        lane.event("e1", when=at(30, 2))

    assert accepted.state.clock.now == at(30, 2)
    assert refused.state.clock.now == at(0, 8)
    assert refused.state.ledger.ahead == 1
    for lane in (accepted, refused):
        assert lane.state.accounts["acme"].events_today == 1
        assert not lane.rejections()


def test_an_answer_holds_for_what_lies_before_it_only() -> None:
    lane = UsageLane(start=at(0, 8))
    lane.clock("REFUSE", at(0, 9))
    with pytest.raises(StepTooLong):
        lane.event("e1", when=at(30))


# drives


def test_a_driver_takes_over_an_empty_lane_only() -> None:
    lane = UsageLane(start=at(400))
    lane.event("staging", environment="staging", when=at(400))
    lane.clock("DRIVEN", at(), 7)
    assert (lane.state.clock.now, lane.state.clock.driven, lane.state.clock.epoch) == (at(), True, 7)

    other = UsageLane(start=at(400))
    other.event("e1", when=at(400))
    other.clock("DRIVEN", at(), 7)
    assert (other.state.clock.now, other.state.clock.driven) == (at(400), False)
    assert other.state.ledger.controls_ignored == 1


def test_in_a_driven_log_the_records_own_times_count_and_other_epochs_move_nothing() -> None:
    lane = UsageLane()
    lane.clock("DRIVEN", at(), 7)
    lane.tick(at(3))
    lane.event("live", when=at(5))
    lane.event("mine", when=at(0, 2), epoch=7, appended_at=at(900))

    assert lane.state.clock.now == at(0, 2)
    assert lane.state.ledger.deferred == 1
    assert not lane.rejections()
    assert set(lane.state.accounts) == {"acme"}
    assert lane.state.accounts["acme"].events_today == 1


def test_a_driven_day_is_closed_at_once_and_evaluated_with_its_factor() -> None:
    lane = UsageLane()
    lane.clock("DRIVEN", at(), 7)
    for number in range(50):
        lane.event(f"e{number}", f"acct-{number}", when=at(0, 1), epoch=7)
    lane.tick(at(1), 7)
    assert [p["day"] - DAY for p in lane.partials()] == [0]
    lane.fleet(0, 700_000, epoch=7)

    assert len(closes(lane)) == 50
    assert {measures(s)["fleet_level"] for s in lane.snapshots() if s["reason"] == "DAY_CLOSE"} == {0.7}


def test_a_second_hand_over_is_harmless() -> None:
    lane = UsageLane()
    lane.clock("DRIVEN", at(), 7)
    lane.event("e1", when=at(0, 1), epoch=7)
    lane.clock("LIVE", at(5, 3))
    before = len(lane.out)
    lane.clock("LIVE", at(9))
    lane.tick(at(5, 3), 7)

    assert lane.state.clock.now == at(5, 3)
    assert [p["day"] - DAY for p in lane.partials()] == [0, 1, 2, 3, 4]
    assert len(lane.out) == before
    assert lane.state.ledger.controls_ignored == 2


def test_after_the_hand_over_events_of_the_former_epoch_count_as_late_ones() -> None:
    lane = UsageLane()
    lane.clock("DRIVEN", at(), 7)
    lane.event("e1", when=at(0, 1), epoch=7)
    lane.clock("LIVE", at(5, 3))
    lane.event("e2", when=at(1, 1), epoch=7, historical=True)

    assert lane.state.ledger.late_applied == 1
    assert lane.state.clock.now == at(5, 3)


# steps


def records_of_two_days() -> list[tuple[str, dict[str, Any], int]]:
    return [
        ("tick", tick(at(1)), at(1)),
        ("tick", tick(at(1) + SWEEP_MS // 2), at(1) + SWEEP_MS // 2),
        ("tick", tick(at(1) + SWEEP_MS), at(1) + SWEEP_MS),
        ("fleet", fleet(0, 900_000), 0),
        ("tick", tick(at(1) + 2 * SWEEP_MS), at(1) + 2 * SWEEP_MS),
        ("tick", tick(at(3)), at(3)),
    ]


def fold(lane: UsageLane, kind: str, value: dict[str, Any], when: int, step: int) -> Any:
    if kind == "fleet":
        return lane.fold.controls.fleet(value, step)
    return getattr(lane.fold.controls, kind)(value, when, 10**6, step)


@pytest.mark.parametrize("accounts", [1, 63, 64, 65, 512, 513, 700])
def test_a_day_close_can_be_resumed_after_every_step(accounts: int) -> None:
    def filled() -> UsageLane:
        lane = UsageLane()
        for number in range(accounts):
            lane.event(f"e{number}", f"acct-{number}", when=at(0, 1))
        return lane

    straight = filled()
    for kind, value, when in records_of_two_days():
        straight._drain(fold(straight, kind, value, when, 0))
    broken = filled()
    resumed = 0
    for kind, value, when in records_of_two_days():
        step = 0
        while True:
            steps = fold(broken, kind, value, when, step)
            if steps is None or next(steps, "over") == "over":
                break
            step += 1
            resumed += 1
            out = broken.out + broken.state.outcomes
            broken = broken.reopened()
            broken.out = out
        broken._drain(None)

    assert resumed >= 3
    assert broken.out == straight.out
    assert broken.state_records() == straight.state_records()
    assert broken.state.ledger == straight.state.ledger


def test_steps_are_short() -> None:
    lane = UsageLane()
    for number in range(700):
        lane.event(f"e{number}", f"acct-{number:04}", when=at(0, 1))
    lane.fleet(0)
    sizes, before = [], 0
    for _ in lane.fold.controls.tick(tick(at(1, 3)), at(1, 3), 9999, 0) or ():
        sizes.append(len(lane.state.outcomes) - before)
        before = len(lane.state.outcomes)
    for _ in lane.fold.controls.tick(tick(at(1, 4)), at(1, 4), 9999, 0) or ():
        sizes.append(len(lane.state.outcomes) - before)
        before = len(lane.state.outcomes)

    assert sum(sizes) >= 700
    assert max(sizes) <= 2 * 64  # what is left of a sweep, and the first of the queue


def test_the_lane_keeps_its_place_through_a_restart() -> None:
    lane = UsageLane()
    lane.clock("DRIVEN", at(), 9)
    lane.event("e1", when=at(0, 1), epoch=9)
    lane.tick(at(1), 9)
    other = lane.reopened()

    for field in lane.state.clock.__slots__:
        assert getattr(other.state.clock, field) == getattr(lane.state.clock, field), field
    assert clock("LIVE", 5)["mode"] == "LIVE"
