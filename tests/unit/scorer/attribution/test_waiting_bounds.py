"""How much waits for an account, how many users a lane knows, and who goes first."""

from __future__ import annotations

from services.scorer.domain.attribution.membership import MOST_MEMBERSHIPS, MOST_NAMED
from services.scorer.domain.attribution.waiting import WaitingBounds
from tests.support.attribution import ANON, KIM, AttributionLane, encode, event
from tests.support.scorer import at

SMALL = WaitingBounds(of_user=5, identified=8, identified_bytes=1 << 20, anonymous=3, anonymous_bytes=1 << 20)
SIZE = len(encode("usage_event", event("e0")))


def waiting(lane: AttributionLane, user: str) -> int:
    return len(lane.state.waiting.of(user))


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
