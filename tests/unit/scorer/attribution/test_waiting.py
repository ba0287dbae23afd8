"""What waits for an account: for how long, and the time that decides it; and what becomes of it."""

from __future__ import annotations

import pytest

from services.scorer.domain.attribution.fold import STEP_BYTES, STEP_EVENTS
from services.scorer.domain.attribution.ledger import AttributionCounters
from services.scorer.domain.attribution.waiting import WaitingBounds
from services.shared.errors import IncompatibleState
from services.shared.units import DAY_MS, HOUR_MS
from tests.support.attribution import ANON, KIM, AttributionLane, encode, event, link
from tests.support.scorer import at, tick

SMALL = WaitingBounds(of_user=5, identified=8, identified_bytes=1 << 20, anonymous=3, anonymous_bytes=1 << 20)
SIZE = len(encode("usage_event", event("e0")))


def waiting(lane: AttributionLane, user: str) -> int:
    return len(lane.state.waiting.of(user))


# time


def test_an_identified_users_event_that_waited_for_seven_days_is_dead_lettered() -> None:
    lane = AttributionLane()
    lane.event("e1")
    lane.tick(at(7) - 1)
    assert lane.unresolved == []

    lane.tick(at(7))

    assert lane.unresolved == [("e1", "no_account")]
    assert (lane.state.ledger.expired_identified, len(lane.state.waiting)) == (1, 0)


@pytest.mark.parametrize(("user", "internal"), [(ANON, False), (KIM, True)])
def test_an_event_of_a_visitor_or_of_staff_is_only_counted(user: str, internal: bool) -> None:
    lane = AttributionLane()
    lane.event("e1", user, internal=internal)
    lane.tick(at(7))

    assert lane.unresolved == []
    assert lane.state.ledger.expired_anonymous == 1


def test_an_event_waits_until_all_lanes_have_read_the_log_up_to_its_end() -> None:
    # Given a scorer that was away for nine days: this lane has read its part of the log, the others have not.
    lane = AttributionLane()
    lane.event("e1")
    lane.event("e2", "u_lee")
    lane.event("later", "u_jo", at(5))
    lane.event("now", "u_jo", at(9))
    lane.tick(at(9), settled=0)
    lane.tick(at(9, 1), settled=at(7) - 1)
    assert (lane.fold.overdue, lane.unresolved) == (at(7), [])

    # When another lane has come to a link of the first days, and passes it on,
    lane.member("acme", at(0, 2), forwards=1)
    lane.tick(at(9, 2), settled=at(7))

    # then what it speaks of was not given up; what nobody speaks of is, once all have read on.
    assert (lane.forwarded, lane.unresolved) == ([("e1", "acme")], [("e2", "no_account")])


def test_that_all_lanes_have_read_the_log_is_no_reason_to_run_ahead_of_log_time() -> None:
    lane = AttributionLane()
    lane.event("e1")
    lane.tick(at(1), settled=at(400))  # a wrong clock

    assert lane.unresolved == []


@pytest.mark.parametrize("recovered", [False, True])
def test_how_far_all_lanes_have_read_is_never_less_again(recovered: bool) -> None:
    lane = AttributionLane()
    lane.event("e1")
    lane.tick(at(6), settled=at(5))
    lane = lane.reopened() if recovered else lane
    lane.tick(at(6, 1), settled=0)  # of a scorer that has just started

    assert lane.fold.state.clock.settled == at(5)


def test_the_lane_says_since_when_an_event_is_overdue() -> None:
    lane = AttributionLane()
    lane.event("e1", ANON, at(0, 1))
    lane.event("e2", when=at(0, 2))
    assert lane.fold.overdue is None

    lane.tick(at(7, 1), settled=at(1))

    assert lane.fold.overdue == at(7, 1)


def test_a_step_of_more_than_seven_days_is_not_taken_until_somebody_accepts_it() -> None:
    lane = AttributionLane()
    lane.event("e1")
    lane.event("e2", when=at(100))  # a wrong clock
    assert (lane.state.clock.now, lane.state.clock.asked) == (at(), at(100))
    assert lane.unresolved == []

    lane.clock("REFUSE", at(100))
    assert lane.state.clock.asked == 0
    lane.clock("ACCEPT", at(8))
    lane.tick(at(8))

    assert (lane.state.clock.now, lane.unresolved) == (at(8), [("e1", "no_account"), ("e2", "no_account")])
    assert lane.state.ledger.steps_refused == 1


@pytest.mark.parametrize("recovered", [False, True])
def test_what_came_before_a_step_was_accepted_waits_from_then(recovered: bool) -> None:
    lane = AttributionLane()
    lane.event("e1")
    lane.event("e2", when=at(9, 1))
    lane.event("e3", "u_lee", when=at(9, 2))
    lane.clock("ACCEPT", at(9, 3))
    lane.tick(at(9, 3))
    if recovered:
        lane, before = lane.reopened(), lane
        assert before.unresolved == [("e1", "no_account")]
    lane.member("acme", at(9, 4))
    assert lane.forwarded == [("e2", "acme")]

    lane.tick(at(16, 3) - 1)
    assert ("e3", "no_account") not in lane.unresolved
    lane.tick(at(16, 3))

    assert lane.unresolved[-1] == ("e3", "no_account")


@pytest.mark.parametrize("recovered", [False, True])
def test_what_came_before_a_step_was_accepted_waits_from_then_whatever_steps_are_refused_later(recovered: bool) -> None:
    lane = AttributionLane()
    lane.event("e1")
    lane.event("e2", when=at(9, 1))
    lane.clock("ACCEPT", at(9, 3))
    for _ in range(2):
        lane.tick(at(100))  # a wrong clock
        lane.clock("REFUSE", at(100))
    assert lane.unresolved == [("e1", "no_account")]
    lane = lane.reopened() if recovered else lane
    lane.out.clear()
    lane.tick(at(16, 3) - 1)
    assert lane.unresolved == []

    lane.tick(at(16, 3))

    assert lane.unresolved == [("e2", "no_account")]


def test_what_has_waited_in_vain_goes_in_steps() -> None:
    lane = AttributionLane()
    for number in range(2 * STEP_EVENTS + 1):
        lane.event(f"e{number}")

    steps = lane.fold.tick({**tick(at(7)), "settled": at(7)}, at(7), 0)

    assert len(list(steps or ())) == 2
    assert lane.state.ledger.expired_identified == 2 * STEP_EVENTS + 1


def test_large_events_are_let_go_in_smaller_steps() -> None:
    lane, other = AttributionLane(), AttributionLane()
    for number in range(11):
        for each in (lane, other):
            each.event(f"e{number}", properties={"long": "x" * (STEP_BYTES // 5)})

    in_vain = lane.fold.tick({**tick(at(7)), "settled": at(7)}, at(7), 0)
    said = other.fold.link(link("MEMBER", KIM, "acme"), at(), 0)

    assert [len(list(steps or ())) for steps in (in_vain, said)] == [2, 2]


def test_a_clock_record_for_a_drive_changes_nothing_here() -> None:
    lane = AttributionLane()
    lane.clock("DRIVEN", at(3))

    assert (lane.state.clock.now, lane.state.ledger.controls_ignored) == (at(), 1)


def test_a_lane_that_has_no_time_yet_takes_that_of_the_first_record_of_a_drive() -> None:
    lane = AttributionLane(start=0)
    lane.event("e1", when=at(3), epoch=7, historical=True)
    lane.event("e2", when=at(4), epoch=7, historical=True)

    assert lane.state.clock.now == at(3)


def test_a_drive_moves_no_log_time_also_where_it_is_ahead_of_it() -> None:
    lane = AttributionLane()
    lane.event("e1", when=at(3), epoch=7, historical=True)
    lane.tick(at(4), epoch=7)

    assert (lane.state.clock.now, lane.state.ledger.controls_ignored) == (at(), 1)


def test_what_a_drive_brings_waits_from_when_it_came() -> None:
    lane = AttributionLane(start=at(300))
    lane.event("e1", when=at(), epoch=7, historical=True)
    lane.tick(at(100), epoch=7)
    assert lane.state.clock.now == at(300)

    lane.tick(at(306))
    assert lane.unresolved == []
    lane.tick(at(307))

    assert lane.unresolved == [("e1", "no_account")]


# state


def test_a_reopened_lane_goes_on_as_if_nothing_had_happened() -> None:
    lane = AttributionLane(SMALL)
    lane.member("acme", user="u_lee")
    lane.link("NAMED", user="u_jo", account="a")
    lane.same()
    lane.aliases(x="y")
    for number in range(3):
        lane.event(f"e{number}")
        lane.event(f"v{number}", f"{ANON}-{number}")
    other = lane.reopened()

    for each in (lane, other):
        each.event("e1")  # a repeat
        each.event("e9", "u_lee")
        each.member("globex", at(0, 1))
        each.tick(at(7))
    assert other.out[-4:] == lane.out[-4:]
    assert other.state.counted() == lane.state.counted()
    assert other.state_records() == lane.state_records()


def test_state_of_a_newer_format_is_refused() -> None:
    lane = AttributionLane(start=0)
    for key in (b"u:kim", b"w:" + bytes(8), b"l:clock", b"l:ledger"):
        with pytest.raises(IncompatibleState, match="a later one"):
            lane.state.restore(key, b"\x09")


def test_all_that_becomes_of_an_event_adds_up_to_what_was_received() -> None:
    beside = {
        name
        for name in AttributionCounters.__struct_fields__
        if name.startswith(("links", "users_"))
        or name in ("merges", "ticks", "clocks", "aliases", "controls_ignored", "steps_refused")
    }
    becomes = [name for name in AttributionCounters.__struct_fields__ if name not in beside]
    counted = AttributionCounters(**{name: 1 << n for n, name in enumerate(becomes)})

    assert counted.received == (1 << len(becomes)) - 1


def test_every_event_is_on_exactly_one_line() -> None:
    lane = AttributionLane(SMALL)
    lane.member("acme", user="u_lee")
    lane.same()
    for number in range(12):
        lane.event(f"e{number}")
        lane.event(f"e{number}")
        lane.event(f"l{number}", "u_lee")
        lane.event(f"a{number}", ANON)
        lane.event(f"v{number}", f"{ANON}-{number}")
    assert (lane.state.counted().received, lane.state.counted().waiting) == (12 * 5, 5 + 3)
    lane.tick(at() + 3 * DAY_MS)
    lane.tick(at() + 7 * DAY_MS + HOUR_MS)
    lane.event("s", environment="staging")
    ledger = lane.state.counted()

    assert ledger.received == 12 * 5 + 1
    assert (ledger.forwarded, ledger.moved, ledger.duplicates, ledger.non_production) == (12, 12, 12, 1)
    assert (ledger.dead_lettered, ledger.dropped, ledger.waiting) == (12, 12, 0)
