"""When a day is closed, waits for the fleet's factor, and is evaluated."""

from __future__ import annotations

from itertools import pairwise

from services.scorer.domain.lane.clock import CLOSING, GRACE_MS, IDLE, SWEEP_MS
from services.scorer.domain.lane.sweep import slice_of
from tests.support.scorer import DAY, UsageLane, at, closes, days_of, measures

MINUTE = 60_000


def wait(lane: UsageLane, since: int, until: int) -> None:
    """Tick once a minute, as the ticker of a scorer does that has nothing else to do."""
    for when in range(since, until, MINUTE):
        lane.tick(when)
    lane.tick(until)


# two clocks


# midnight


def test_an_account_is_closed_at_its_first_touch_of_the_new_day() -> None:
    lane = UsageLane()
    lane.event("e1", when=at(0, 23))
    lane.event("e2", when=at(1) + 1)

    assert days_of(lane.state.accounts["acme"]) == {DAY: (1, 1)}
    assert lane.state.accounts["acme"].events_today == 1


def test_midnight_is_swept_in_ten_minutes_of_log_time() -> None:
    lane = UsageLane()
    for number in range(300):
        lane.event(f"e{number}", f"acct-{number}", when=at(0, 1))
    lane.tick(at(0, 2))
    lane.tick(at(1))
    closed_by_minute = []
    for minute in range(11):
        lane.tick(at(1) + minute * MINUTE)
        closed_by_minute.append(sum(a.open_day == DAY + 1 for a in lane.state.accounts.values()))

    assert closed_by_minute[-1] == 300
    assert all(20 < later - sooner < 60 for sooner, later in pairwise(closed_by_minute[:-1])), closed_by_minute
    assert [p["day"] - DAY for p in lane.partials()] == [0]


def test_what_is_due_is_known_to_the_ticker() -> None:
    lane = UsageLane(start=0)
    assert lane.fold.controls.due == 0
    lane.tick(at(0, 3))
    assert lane.fold.controls.due == at(1)
    lane.event("e1", when=at(0, 4))
    assert lane.fold.controls.due == at(0, 4)
    lane.tick(at(0, 4) + 1000)
    assert lane.fold.controls.due == at(1)
    lane.tick(at(1))
    if lane.state.clock.phase == CLOSING:
        assert lane.fold.controls.due == at(1) + slice_of("acme") * 1000
    lane.tick(at(1) + SWEEP_MS)
    assert (lane.state.clock.phase, lane.fold.controls.due) == (IDLE, at(2))


def test_both_sweeps_are_done_before_the_next_midnight_also_when_time_leaps() -> None:
    lane = UsageLane()
    for number in range(40):
        lane.event(f"e{number}", f"acct-{number}", when=at(0, 1))
    lane.tick(at(1))
    lane.fleet(0, 900_000)
    lane.tick(at(2, 5))

    assert closes(lane) == [0] * 40
    assert {s["at"] for s in lane.snapshots() if s["reason"] == "DAY_CLOSE"} == {at(2)}
    assert [p["day"] - DAY for p in lane.partials()] == [0, 1]


# waiting for the factor


def test_a_closed_day_waits_for_its_factor() -> None:
    lane = UsageLane()
    lane.event("e1")
    lane.tick(at(1))
    lane.tick(at(1) + SWEEP_MS)
    assert [p["day"] - DAY for p in lane.partials()] == [0]
    assert not closes(lane)
    lane.fleet(0, 700_000)
    lane.tick(at(1) + 2 * SWEEP_MS)

    assert closes(lane) == [0]
    assert measures(lane.snapshots()[-1])["fleet_level"] == 0.7


def test_without_a_factor_the_partial_is_repeated_and_the_day_is_evaluated_at_the_end_of_the_grace() -> None:
    lane = UsageLane()
    lane.event("e1")
    lane.close(0, 700_000)
    lane.tick(at(2))
    lane.tick(at(2) + SWEEP_MS)
    swept = at(2) + SWEEP_MS
    wait(lane, swept + MINUTE, swept + GRACE_MS - MINUTE)
    assert [(p["day"] - DAY, p["repeated"]) for p in lane.partials()] == [(0, False), (1, False), (1, True)]
    assert closes(lane) == [0]
    wait(lane, swept + GRACE_MS - MINUTE, swept + GRACE_MS + 2 * SWEEP_MS)
    assert closes(lane) == [0, 1]
    assert measures(lane.snapshots()[-1])["fleet_level"] == 0.7
    lane.fleet(1, 500_000)
    lane.close(2, 400_000)

    assert closes(lane) == [0, 1, 2]
    assert lane.state.fleet.factor_ppm(DAY + 1) == 500_000


def test_events_of_a_backlog_do_not_run_out_the_grace() -> None:
    lane = UsageLane()
    lane.event("e0")
    for hour in range(1, 24 * 6):
        lane.event(f"e{hour}", user=f"u{hour % 3}", when=at(0, hour))

    assert [p["day"] - DAY for p in lane.partials()] == [0, 1, 2, 3, 4]
    assert not closes(lane)
    assert lane.state.ledger.days_overtaken == 4
    for day in range(5):
        lane.fleet(day, 300_000)
    lane.tick(at(6))

    assert closes(lane) == [4]
    assert measures(lane.snapshots()[-1])["fleet_level"] == 0.3


def test_the_leaps_of_a_ticker_that_catches_up_do_not_run_out_the_grace() -> None:
    lane = UsageLane(start=at(0, 8))
    lane.event("e1", when=at(0, 9))
    for day in range(1, 6):
        lane.tick(at(day, 8))

    assert [p["day"] - DAY for p in lane.partials()] == [0, 1, 2, 3, 4]
    assert not closes(lane)


def test_while_factors_of_an_absence_are_missing_nobody_is_judged_by_a_touch() -> None:
    lane = UsageLane()
    lane.event("e0")
    lane.close(0, 990_000)
    for day in range(1, 6):
        lane.event(f"e{day}", when=at(day, 9))
    lane.tick(at(5, 10))
    assert lane.state.held
    assert lane.fold.controls.due == at(6)
    before = len(lane.snapshots())
    lane.tick(at(5, 10) + 5000)
    assert len(lane.snapshots()) == before
    for day in range(1, 5):
        lane.fleet(day, 300_000)
    lane.tick(at(5, 10) + SWEEP_MS + 5000)

    assert {measures(s)["fleet_level"] for s in lane.snapshots()[before:]} == {0.3}


def test_once_the_factor_of_the_pending_day_is_there_nobody_waits_for_those_before_it() -> None:
    lane = UsageLane()
    for number in range(40):
        lane.event(f"e{number}", f"acct-{number}")
    lane.close(0, 990_000)
    for day in range(1, 6):
        lane.event(f"later{day}", when=at(day, 9))
    lane.fleet(4, 300_000)
    before = len(lane.snapshots("acme"))
    lane.event("ticket", when=at(5, 10), name="Ticket Opened", properties={"ticket_id": 1})
    lane.tick(at(5, 10) + 1000)

    assert not lane.state.held
    assert len(lane.snapshots("acme")) > before


def test_a_factor_that_comes_before_the_day_is_closed_is_kept() -> None:
    """A lane that stood still finds the decisions of the others in its log before it gets there."""
    lane = UsageLane()
    lane.event("e1")
    for day in range(3):
        lane.fleet(day, 500_000)
    for day in range(1, 4):
        for sweeps in range(3):
            lane.tick(at(day) + sweeps * SWEEP_MS)

    assert closes(lane) == [0, 1, 2]
    assert {measures(s)["fleet_level"] for s in lane.snapshots()} <= {0.5, 1.0}
    assert measures(lane.snapshots()[-1])["fleet_level"] == 0.5


def test_the_first_factor_of_a_day_counts() -> None:
    lane = UsageLane()
    lane.tick(at(1))
    lane.fleet(0, 700_000)
    lane.fleet(0, 900_000)
    lane.fleet(0, 800_000, epoch=4)
    lane.fleet(500, 800_000)

    assert lane.state.fleet.factor_ppm(DAY) == 700_000
    assert lane.state.ledger.controls_ignored == 3
