"""What waits for an account: for how long, how much, and who goes first; and the time that decides it."""

from __future__ import annotations

import pytest

from services.scorer.domain.attribution.fold import STEP_BYTES, STEP_EVENTS
from services.scorer.domain.attribution.ledger import AttributionCounters
from services.scorer.domain.attribution.membership import MOST_MEMBERSHIPS, MOST_NAMED
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


# bounds


def test_of_one_user_the_oldest_events_go() -> None:
    lane = AttributionLane(SMALL)
    for number in range(7):
        lane.event(f"e{number}")

    assert lane.unresolved == [("e0", "no_account"), ("e1", "no_account")]
    assert lane.state.ledger.evicted_identified == 2


def test_anonymous_visitors_never_take_the_place_of_identified_users() -> None:
    lane = AttributionLane(SMALL)
    lane.member("acme", user="u_lee")
    lane.event("e1")
    for number in range(50):
        lane.event(f"v{number}", f"{ANON}-{number}")

    assert lane.unresolved == []
    assert (lane.state.waiting.identified, lane.state.waiting.anonymous) == (1, 3)
    assert lane.state.ledger.evicted_anonymous == 47


def test_a_later_event_of_a_user_may_have_to_go_before_an_earlier_one() -> None:
    lane = AttributionLane(SMALL)
    lane.event("e1")
    lane.event("e2", internal=True)  # beside the visitors, as staff
    for number in range(3):
        lane.event(f"v{number}", f"{ANON}-{number}")
    assert waiting(lane, KIM) == 1

    lane.member("acme")

    assert lane.forwarded == [("e1", "acme")]
    assert waiting(lane, KIM) == 0


def test_a_pool_is_bounded_in_bytes() -> None:
    lane = AttributionLane(SMALL._replace(of_user=100, identified=100, identified_bytes=3 * SIZE))
    for number in range(5):
        lane.event(f"e{number}")

    assert [id_ for id_, _ in lane.unresolved] == ["e0", "e1"]
    lane.event("v1", ANON)
    assert lane.state.waiting.bytes == 3 * SIZE + len(encode("usage_event", event("v1", ANON)))


def test_what_a_browsers_key_sends_takes_no_place_of_what_a_servers_key_sent() -> None:
    lane = AttributionLane(SMALL)
    for number in range(5):
        lane.event(f"s{number}", authority="SERVER")
        lane.event(f"a{number}", f"{ANON}-{number}", authority="SERVER")
    known = {user: waiting(lane, user) for user in lane.state.waiting.users()}
    assert sum(known.values()) == 5 + SMALL.anonymous

    for number in range(200):  # by a copied key: of the same user, of others, of visitors
        lane.event(f"k{number}")
        lane.event(f"u{number}", f"u_{number}", properties={"long": "x" * 20_000})
        lane.event(f"v{number}", f"{ANON}-x{number}")

    assert {user: waiting(lane, user) for user in known} == known
    assert (lane.state.waiting.identified, lane.state.waiting.anonymous) == (SMALL.identified, SMALL.anonymous)
    assert not [event_id for event_id, _ in lane.unresolved if event_id.startswith("s")]
    assert lane.state.ledger.evicted_identified == 2 * 200 - (SMALL.identified - 5)
    assert lane.state.ledger.evicted_anonymous == 2 + 200

    for number in range(5, 20):  # a server does take the place of browsers, then of the oldest of servers
        lane.event(f"s{number}", f"u_s{number}", authority="SERVER")
    assert [event_id for event_id, _ in lane.unresolved if event_id.startswith("s")][:2] == ["s0", "s1"]
    assert lane.reopened().state_records() == lane.state_records()


def test_events_of_servers_and_browsers_of_one_user_are_let_go_in_the_order_in_which_they_came() -> None:
    lane = AttributionLane()
    for number, authority in enumerate(("SERVER", "BROWSER", "BROWSER", "SERVER", "UNKNOWN", "SERVER")):
        lane.event(f"e{number}", authority=authority)
    lane.member("acme")

    assert [event_id for event_id, _ in lane.forwarded] == [f"e{number}" for number in range(6)]


def test_users_are_bounded_in_bytes_whatever_is_said_of_them() -> None:
    # Given ids as long as ingest takes them, in characters of four bytes, in all places that hold one
    longest = chr(0x1F30A) * 255
    lane = AttributionLane(most_users=10_000, user_bytes=100_000)
    ordinary = AttributionLane()
    for target, account in ((lane, longest), (ordinary, "0b6f8c52-6a2e-4d5b-9d1c-9e0c4c1f3a77-")):
        for number in range(2 * MOST_MEMBERSHIPS):
            target.member(f"{account}{number % 10}", at(0, number))
            target.link("NAMED", account=f"{account}{number % 10}")
        target.member(account, authority="OPERATOR")

    # then a user takes no more than the documentation says, and ordinary ids lose nothing.
    for target, most in ((lane, 4_000), (ordinary, 1_400)):
        [(_, packed)] = [(key, value) for key, value in target.state_records().items() if key == b"u:" + KIM.encode()]
        assert most / 2 < len(packed) < most
    user = ordinary.state.users.get(KIM)
    assert user is not None
    assert (len(user.stays), len(user.named)) == (MOST_MEMBERSHIPS, MOST_NAMED)

    # And many such users are bounded together: those of browsers go, those of servers stay.
    lane = AttributionLane(most_users=10_000, user_bytes=100_000)
    for number in range(20):
        lane.member("acme", user=f"u_server-{number}")
    for number in range(1_000):
        lane.member(f"{longest}{number % 10}", user=f"u_{number}", authority="BROWSER")
    assert 95_000 < lane.state.users.bytes <= 100_000
    assert lane.state.users.counts()[2] == 20
    assert lane.state.users.evicted[1] > 900
    assert lane.reopened().state.users.bytes == lane.state.users.bytes


def test_what_is_known_of_a_user_takes_room_once_however_often_something_is_said() -> None:
    lane = AttributionLane()
    for hour in range(9):
        lane.member("acme" if hour % 2 else "globex", at(0, hour))

    assert lane.state.users.bytes == lane.reopened().state.users.bytes


def test_a_lane_knows_so_many_users_and_forgets_who_was_not_seen_for_longest() -> None:
    lane = AttributionLane(most_users=4)
    lane.member("acme", user="u_server")
    lane.member("acme", user="u_old", authority="BROWSER")
    lane.member("acme", user="u_new", authority="BROWSER")
    lane.tick(at(1))
    lane.event("e1", "u_old", at(1))  # seen again
    lane.member("acme", user=ANON, authority="BROWSER", when=at(1))
    lane.member("acme", user="u_more", authority="BROWSER", when=at(1))  # the visitor goes
    lane.member("acme", user="u_most", authority="BROWSER", when=at(1))  # then who was not seen today

    assert sorted(lane.state.users.names()) == ["u_more", "u_most", "u_old", "u_server"]
    assert lane.state.users.evicted == [1, 1, 0]
    assert sorted(lane.reopened().state.users.names()) == ["u_more", "u_most", "u_old", "u_server"]


def test_who_goes_first_is_the_same_after_a_recovery() -> None:
    lanes = []
    for reopened in (False, True):
        lane = AttributionLane(most_users=3)
        for name in ("u_c", "u_a", "u_b"):
            lane.member("acme", user=name, authority="BROWSER")
        lane = lane.reopened() if reopened else lane
        lane.member("acme", user="u_d", authority="BROWSER")
        lanes.append(sorted(lane.state.users.names()))

    assert lanes == [["u_a", "u_b", "u_d"]] * 2


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
