"""Log time: who may move it, how far, and what happens as days pass."""

from __future__ import annotations

import pytest

from services.scorer.domain.parked import EXPIRE_TICKS, LIMIT
from services.scorer.testing import DAY, Lane, at, clock, fleet, tick


def test_log_time_is_the_greatest_tick_or_receipt_and_never_goes_back() -> None:
    lane = Lane(start=0)
    lane.event("e1", when=at(0, 5))
    assert lane.state.clock.now == at(0, 5)
    lane.tick(at(0, 3))
    lane.event("e2", when=at(0, 4))
    assert lane.state.clock.now == at(0, 5)
    lane.tick(at(0, 6))
    lane.event("e3", when=at(0, 2), received_at=at(0, 7))

    assert lane.state.clock.now == at(0, 7)


def test_a_tick_over_26_hours_ahead_is_ignored_and_counted() -> None:
    lane = Lane()
    lane.tick(at(0, 26) + 1)
    assert (lane.state.clock.now, lane.state.ledger.jumps_ignored) == (at(), 1)

    lane.tick(at(0, 26))
    assert lane.state.clock.now == at(0, 26)


def test_after_a_weekend_away_the_ticks_that_catch_up_bring_what_came_meanwhile() -> None:
    lane = Lane(start=at(0, 18))
    for number, hours in enumerate([63, 64, 65, 64]):
        lane.event(f"e{number % 3}", user=f"u{number}", when=at(0, 18 + hours))
    assert (lane.state.clock.now, len(lane.state.parked), lane.state.ledger.applied) == (at(0, 18), 4, 0)
    lane = lane.reopened()
    for hours in (24, 48, 70):
        lane.tick(at(0, 18 + hours))

    assert (len(lane.state.parked), lane.state.ledger.applied, lane.state.ledger.duplicates) == (0, 3, 1)
    assert lane.state.clock.now == at(0, 18 + 70)
    assert lane.state.accounts["acme"].people.today.bit_count() == 3
    assert not lane.rejections()


def test_a_full_lot_without_a_tick_is_believed() -> None:
    lane = Lane(start=at(0, 18))
    for number in range(LIMIT + 50):
        lane.event(f"e{number}", when=at(5, 9) + number)

    assert (len(lane.state.parked), lane.state.ledger.applied) == (0, LIMIT + 50)
    assert lane.state.clock.now == at(5, 9) + LIMIT + 49
    assert [p["day"] - DAY for p in lane.partials()] == [0, 1, 2, 3, 4]


def test_a_wrong_clock_moves_nothing_and_its_events_end_on_the_dead_letters() -> None:
    lane = Lane(start=at(0, 1))
    for second in range(EXPIRE_TICKS + 10):
        if second < 3:
            lane.event(f"wrong{second}", when=at(30))
        lane.tick(at(0, 1) + 1000 * (second + 1))
    lane.event("insane", when=at(5000))

    assert lane.state.clock.now == at(0, 1) + 1000 * (EXPIRE_TICKS + 10)
    assert [(r.reason, r.event["event_id"]) for r in lane.rejections()] == [
        ("clock_jump", e) for e in ("wrong0", "wrong1", "wrong2", "insane")
    ]
    assert (lane.state.ledger.dead_lettered, lane.state.ledger.jumps_ignored, len(lane.state.parked)) == (4, 4, 0)


def test_more_than_a_full_lot_of_a_wrong_clock_is_put_aside_at_once() -> None:
    lane = Lane(start=at(0, 1))
    for number in range(LIMIT + 5):
        lane.event(f"wrong{number}", when=at(30))
        if number % 100 == 0:
            lane.tick(at(0, 1) + number + 1)

    assert (lane.state.ledger.dead_lettered, len(lane.state.parked)) == (5, LIMIT)
    assert lane.state.clock.today == DAY


def test_a_driver_takes_over_an_empty_lane_only() -> None:
    lane = Lane(start=at(400))
    lane.event("staging", environment="staging", when=at(400))
    lane.clock("DRIVEN", at(), 7)
    assert (lane.state.clock.now, lane.state.clock.driven, lane.state.clock.epoch) == (at(), True, 7)

    other = Lane(start=at(400))
    other.event("e1", when=at(400))
    other.clock("DRIVEN", at(), 7)
    assert (other.state.clock.now, other.state.clock.driven) == (at(400), False)
    assert other.state.ledger.controls_ignored == 1


def test_in_a_driven_log_other_epochs_move_nothing_and_their_events_are_put_off() -> None:
    lane = Lane()
    lane.clock("DRIVEN", at(), 7)
    lane.tick(at(3))
    lane.event("live", when=at(5))
    lane.event("mine", when=at(0, 2), epoch=7)

    assert lane.state.clock.now == at(0, 2)
    assert (lane.rejections(), lane.state.ledger.deferred) == ([], 1)
    assert set(lane.state.accounts) == {"acme"}


def test_the_hand_over_walks_day_by_day_and_a_second_one_is_harmless() -> None:
    lane = Lane()
    lane.clock("DRIVEN", at(), 7)
    lane.event("e1", when=at(0, 1), epoch=7)
    lane.clock("LIVE", at(5, 3))
    assert [s["day"] - DAY for s in lane.snapshots() if s["reason"] == "DAY_CLOSE"] == [0, 1, 2, 3, 4]
    assert [s["at"] for s in lane.snapshots()] == [at(n, 2) for n in range(1, 6)]
    before = len(lane.out)
    lane.clock("LIVE", at(9))
    lane.tick(at(5, 3), 7)

    assert lane.state.clock.now == at(5, 3)
    assert len(lane.out) == before
    assert lane.state.ledger.controls_ignored == 2


def test_after_the_hand_over_events_of_the_former_epoch_count_as_late_ones() -> None:
    lane = Lane()
    lane.clock("DRIVEN", at(), 7)
    lane.event("e1", when=at(0, 1), epoch=7)
    lane.clock("LIVE", at(5, 3))
    lane.event("e2", when=at(1, 1), epoch=7, historical=True)

    assert lane.state.ledger.late_applied == 1
    assert lane.state.clock.now == at(5, 3)


def test_a_closed_day_waits_for_its_factor() -> None:
    lane = Lane()
    lane.event("e1")
    lane.tick(at(1))
    assert [p["day"] - DAY for p in lane.partials()] == [0]
    assert not [s for s in lane.snapshots() if s["reason"] == "DAY_CLOSE"]
    lane.fleet(0, 700_000)
    closes = [s for s in lane.snapshots() if s["reason"] == "DAY_CLOSE"]

    assert [(s["day"] - DAY, s["at"], s["usage"]["fleet_ppm"]) for s in closes] == [(0, at(1), 700_000)]


def test_without_a_factor_the_day_is_evaluated_two_hours_later_with_that_of_the_day_before() -> None:
    lane = Lane()
    lane.event("e1")
    lane.close(0, 700_000)
    lane.tick(at(2, 1.99))
    assert lane.snapshots()[-1]["day"] - DAY == 0
    lane.tick(at(2, 2))
    assert (lane.snapshots()[-1]["day"] - DAY, lane.snapshots()[-1]["usage"]["fleet_ppm"]) == (1, 700_000)
    lane.fleet(1, 500_000)
    lane.close(2, 400_000)

    assert len([s for s in lane.snapshots() if s["day"] - DAY == 1 and s["reason"] == "DAY_CLOSE"]) == 1
    assert lane.state.fleet.factor_ppm(DAY + 1) == 500_000


def test_the_first_factor_of_a_day_counts() -> None:
    lane = Lane()
    lane.tick(at(1))
    lane.fleet(0, 700_000)
    lane.fleet(0, 900_000)
    lane.fleet(0, 800_000, epoch=4)
    lane.fleet(5, 800_000)

    assert lane.state.fleet.factor_ppm(DAY) == 700_000
    assert lane.state.ledger.controls_ignored == 3


def test_an_event_after_midnight_closes_the_day_before_it_counts() -> None:
    lane = Lane()
    lane.event("e1", when=at(0, 23))
    lane.event("e2", when=at(1, 0.5))

    assert lane.state.accounts["acme"].daily() == {DAY: (1, 1)}
    assert lane.state.accounts["acme"].events_today == 1
    assert [p["day"] - DAY for p in lane.partials()] == [0]


@pytest.mark.parametrize("accounts", [1, 63, 64, 65, 512, 513, 700])
def test_a_day_close_can_be_resumed_after_every_step(accounts: int) -> None:
    def filled() -> Lane:
        lane = Lane()
        for number in range(accounts):
            lane.event(f"e{number}", f"acct-{number}", when=at(0, 1))
        return lane

    records = [("tick", tick(at(1))), ("fleet", fleet(0, 900_000)), ("tick", tick(at(2, 2)))]
    straight = filled()
    for kind, value in records:
        straight._drain(getattr(straight.fold, kind)(value, 0))
    broken = filled()
    resumed = 0
    for kind, value in records:
        step = 0
        while True:
            steps = getattr(broken.fold, kind)(value, step)
            if steps is None or next(steps, "over") == "over":
                break
            step += 1
            resumed += 1
            out = broken.out + broken.state.outcomes
            broken = broken.reopened()
            broken.out = out
        broken._drain(None)

    assert resumed >= 4
    assert broken.out == straight.out
    assert broken.state_records() == straight.state_records()
    assert broken.state.ledger == straight.state.ledger


def test_steps_are_short() -> None:
    lane = Lane()
    for number in range(700):
        lane.event(f"e{number}", f"acct-{number:04}", when=at(0, 1))
    sizes, before = [], 0
    for _ in lane.fold.tick(tick(at(1, 3)), 0) or ():
        sizes.append(len(lane.state.outcomes) - before)
        before = len(lane.state.outcomes)

    assert max(sizes) <= 64


def test_the_lane_keeps_its_place_through_a_restart() -> None:
    lane = Lane()
    lane.clock("DRIVEN", at(), 9)
    lane.event("e1", when=at(0, 1), epoch=9)
    lane.tick(at(1), 9)
    other = lane.reopened()

    for field in lane.state.clock.__slots__:
        assert getattr(other.state.clock, field) == getattr(lane.state.clock, field), field
    assert clock("LIVE", 5)["mode"] == "LIVE"
