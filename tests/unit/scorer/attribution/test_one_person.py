"""Anonymous and known identities of one person: the rules of docs/attribution.md, one by one."""

from __future__ import annotations

import pytest

from services.scorer.domain.attribution.fold import MOST_FORWARDS
from services.scorer.domain.attribution.membership import MOST_NAMED
from services.scorer.domain.attribution.outcome import Forward, Link, Move
from tests.support.attribution import ANON, KIM, AttributionLane, read
from tests.support.scorer import at


def test_what_was_done_before_a_login_counts_for_the_account_after_it(lane: AttributionLane) -> None:
    lane.event("before", ANON)
    lane.same()
    lane.event("after", ANON)

    assert lane.moved == [("before", KIM), ("after", KIM)]
    assert lane.state.ledger.moved == 2


def internal(lane: AttributionLane) -> list[tuple[str, bool]]:
    """Return the ids that were let through, each with whether it counts as one of staff."""
    return [(read(o.value)["event_id"], o.internal) for o in lane.out if isinstance(o, (Forward, Move))]


def test_what_staff_did_before_the_login_is_staffs_too(lane: AttributionLane) -> None:
    lane.event("before", ANON)
    lane.same(internal=True)
    lane.event("after", ANON)
    assert internal(lane.reopened()) == []
    lane.same(internal=False)  # the plan does not leave this user out any more
    lane.event("later", ANON)

    assert internal(lane) == [("before", True), ("after", True), ("later", False)]


@pytest.mark.parametrize("recovered", [False, True])
def test_what_waited_of_a_user_who_turns_out_to_be_staff_is_staffs(lane: AttributionLane, recovered: bool) -> None:
    lane.event("waited")
    lane.member("acme", internal=True)
    lane = lane.reopened() if recovered else lane
    lane.event("moved", forwards=1)
    lane.event("own", internal=False)  # as ingest sees it now
    lane.event("moved-2", forwards=1)
    lane.member("acme", at(0, 1), authority="OPERATOR", via="OPERATOR", internal=True)  # an operator does not know
    lane.event("moved-3", forwards=1)

    expected = [("waited", True), ("moved", True), ("own", False), ("moved-2", False), ("moved-3", False)]
    assert internal(lane) == expected[recovered:]


def test_a_call_of_too_little_authority_to_say_the_account_still_says_that_its_user_is_left_out(
    lane: AttributionLane,
) -> None:
    lane.member("acme", user=ANON)
    lane.member("globex", at(0, 1), ANON, authority="BROWSER", internal=True)
    lane.event("e1", ANON, at(0, 2))

    assert lane.forwarded == [("e1", "acme")]
    assert internal(lane) == [("e1", True)]


def test_a_user_is_staff_no_more_once_a_call_comes_of_which_ingest_says_so(lane: AttributionLane) -> None:
    lane.member("acme", internal=True)
    lane.member("acme", at(0, 1), internal=False)
    lane.event("e1", forwards=1)

    assert internal(lane) == [("e1", False)]


def test_what_an_anonymous_id_of_staff_said_goes_along_as_staffs(lane: AttributionLane) -> None:
    lane.member("acme", user=ANON, authority="BROWSER")
    lane.link("NAMED", ANON, "globex", authority="BROWSER")
    lane.same(internal=True)
    lane.link("NAMED", ANON, "initech", authority="BROWSER")

    assert {(o.value["kind"], o.value["internal"]) for o in lane.out if isinstance(o, Link)} == {
        ("MEMBER", True), ("NAMED", True), ("SAME", True),
    }  # fmt: skip


def test_memberships_of_an_anonymous_id_go_along(lane: AttributionLane) -> None:
    lane.member("acme", at(0, 1), ANON, authority="BROWSER")
    lane.member("acme", at(0, 3), ANON, authority="BROWSER")
    lane.link("NAMED", ANON, "globex", authority="BROWSER")
    lane.same(when=at(0, 4))
    lane.member("initech", at(0, 5), ANON, authority="BROWSER")

    assert lane.links == [
        ("MEMBER", KIM, "acme"),
        ("MEMBER", KIM, "acme"),
        ("NAMED", KIM, "globex"),
        ("MEMBER", KIM, "initech"),
    ]
    sent = [o.value for o in lane.out if isinstance(o, Link) and not o.to_account]
    assert [(s["occurred_at"], s["forwards"], s["authority"]) for s in sent] == [
        (at(0, 1), 1, "BROWSER"),
        (at(0, 3), 1, "BROWSER"),
        (at(0, 4), 1, "BROWSER"),
        (at(0, 5), 1, "BROWSER"),
    ]


def test_what_goes_along_is_said_by_whom_and_how_it_was_said_before(lane: AttributionLane) -> None:
    lane.member("by-domain", user=ANON, authority="BROWSER", via="DOMAIN")
    lane.link("NAMED", ANON, "named", authority="BROWSER")
    lane.same(authority="SERVER")

    sent = [o.value for o in lane.out if isinstance(o, Link) and not o.to_account]
    assert [(each["account"], each["authority"], each["via"]) for each in sent] == [
        ("by-domain", "BROWSER", "DOMAIN"),
        ("named", "BROWSER", "EVENT"),
    ]


def test_what_has_gone_along_to_one_person_does_not_go_to_the_next(lane: AttributionLane) -> None:
    lane.member("acme", user=ANON, authority="BROWSER")
    lane.same(known_as=KIM, when=at(0, 1))
    lane.same(known_as="u_lee", when=at(0, 2))

    assert lane.links == [("MEMBER", KIM, "acme")]
    assert lane.merges == [("acme", ANON, KIM)]


def test_somebody_who_was_first_heard_of_as_a_former_id_is_identified_once_a_call_says_so(
    lane: AttributionLane,
) -> None:
    lane.link("NAMED", account="acme", authority="BROWSER", identified=False)
    assert lane.state.users.counts() == (1, 0, 0)

    lane.link("NAMED", account="acme", authority="BROWSER")

    assert lane.state.users.counts() == (0, 1, 0)


def test_accounts_that_have_counted_an_anonymous_person_are_told_who_it_is(lane: AttributionLane) -> None:
    lane.link("NAMED", ANON, "globex")
    lane.member("acme", user=ANON)
    lane.same(authority="SERVER")
    lane.same(authority="SERVER")
    assert lane.merges == [("acme", ANON, KIM), ("globex", ANON, KIM)]

    lane.link("NAMED", ANON, "initech", authority="BROWSER")

    assert lane.merges[2:] == [("initech", ANON, KIM)]


def test_of_more_accounts_than_are_kept_a_browser_cannot_choose_another_either() -> None:
    lane = AttributionLane()
    for number in range(MOST_NAMED + 1):
        lane.link("NAMED", KIM, f"a{number}")
    lane.link("MEMBER", KIM, "evil", authority="BROWSER")
    lane.event("e1", when=at(0, 1))

    assert lane.forwarded == []


def test_a_browser_cannot_move_an_identity_that_a_server_knows(lane: AttributionLane) -> None:
    lane.member("acme")
    lane.same(KIM, "u_evil", authority="BROWSER")
    lane.event("e1")

    assert (lane.forwarded, lane.moved) == ([("e1", "acme")], [])
    assert lane.state.ledger.links_ignored == 1


def test_what_a_server_says_of_an_identity_brings_it_back_from_where_a_browser_has_moved_it(
    lane: AttributionLane,
) -> None:
    lane.same(KIM, "u_evil", authority="BROWSER")
    lane.member("acme", authority="SERVER")
    lane.event("e1")

    assert (lane.forwarded, lane.moved, lane.links) == ([("e1", "acme")], [], [])


@pytest.mark.parametrize("kind", ["MEMBER", "NAMED"])
def test_what_a_browser_says_of_an_identity_that_was_brought_back_stays_with_it(
    lane: AttributionLane, kind: str
) -> None:
    lane.same(KIM, "u_evil", authority="BROWSER")
    lane.link(kind, account="acme", authority="SERVER")
    lane.link("NAMED", KIM, "globex", authority="BROWSER")

    assert (lane.links, lane.merges) == ([], [])


def test_an_operator_who_says_who_somebody_is_comes_before_one_who_gave_an_account(lane: AttributionLane) -> None:
    lane.member("acme", user=ANON, authority="OPERATOR", via="OPERATOR")
    lane.same(authority="OPERATOR")
    lane.same(authority="OPERATOR")
    lane.event("e1", ANON)

    assert (lane.forwarded, lane.moved) == ([], [("e1", KIM)])
    assert lane.merges == [("acme", ANON, KIM)]  # told once


def test_a_browser_cannot_move_an_identity_whose_account_a_servers_events_name(lane: AttributionLane) -> None:
    lane.link("NAMED", account="acme", authority="SERVER")
    lane.same(KIM, "u_evil", authority="BROWSER")
    lane.event("e1")

    assert (lane.forwarded, lane.moved, lane.links, lane.merges) == ([("e1", "acme")], [], [], [])
    assert lane.state.ledger.links_ignored == 1


def test_the_account_that_a_servers_events_name_brings_an_identity_back(lane: AttributionLane) -> None:
    lane.same(ANON, KIM, authority="BROWSER")
    lane.link("NAMED", ANON, "acme", authority="SERVER")
    lane.event("e1", ANON)

    assert (lane.forwarded, lane.moved, lane.links) == ([("e1", "acme")], [], [])


def test_the_later_of_two_logins_counts(lane: AttributionLane) -> None:
    lane.same(known_as="u_lee", when=at(0, 2))
    lane.same(known_as=KIM, when=at(0, 1))
    lane.event("e1", ANON, at(0, 3))

    assert lane.moved == [("e1", "u_lee")]


def test_an_event_that_is_moved_too_often_is_given_up(lane: AttributionLane) -> None:
    lane.same("u_a", "u_b")
    lane.event("e1", "u_a", forwards=MOST_FORWARDS - 1)
    lane.event("e2", "u_a", forwards=MOST_FORWARDS)
    lane.member("acme", user="u_a", forwards=MOST_FORWARDS, authority="BROWSER")

    assert lane.moved == [("e1", "u_b")]
    assert lane.unresolved == [("e2", "too_many_forwards")]
    assert (lane.links, lane.state.ledger.links_lost) == ([], 1)


def test_nobody_is_the_same_person_as_themselves(lane: AttributionLane) -> None:
    lane.same(KIM, KIM)
    lane.member("acme")
    lane.event("e1")

    assert (lane.forwarded, lane.moved) == ([("e1", "acme")], [])
