"""What the lane of an account does with the news that two of its people are one."""

from __future__ import annotations

from tests.support.attribution import link
from tests.support.scorer import UsageLane, at


def merge(lane: UsageLane, account: str = "acme", **changes: object) -> None:
    lane.fold.link({**link("SAME", "u_anon", account, known_as="u_kim"), **changes})


def active(lane: UsageLane) -> int:
    """Return how many people were active on the day that was closed last."""
    days = lane.state.accounts["acme"].history("active", lane.state.clock.closed_day)
    assert days is not None
    return int(days[-1])


def test_an_account_counts_one_person_where_it_had_counted_two() -> None:
    lane = UsageLane()
    for user in ("u_anon", "u_kim"):
        lane.event(f"{user}-1", "acme", user, at(0, 9))
    lane.close(0)
    assert active(lane) == 2

    merge(lane)

    assert active(lane) == 1
    assert lane.state.ledger.people_merged == 1


def test_the_account_is_evaluated_anew() -> None:
    lane = UsageLane()
    lane.event("e1", "acme", "u_anon", at(0, 9))
    lane.event("e2", "acme", "u_kim", at(0, 9))
    lane.close(0)
    lane.tick(at(1, 5))
    before = lane.state.ledger.evaluations

    merge(lane)
    assert lane.state.queue == {"acme"}
    lane.tick(at(1, 9))

    assert lane.state.ledger.evaluations == before + 1


def test_news_of_somebody_unknown_leaves_the_people_of_today_where_the_state_has_them() -> None:
    lane = UsageLane()
    lane.event("e1", "acme", "u_kim", at(0, 9))
    lane.close(0)
    for number in range(9):
        lane.event(f"new{number}", "acme", f"u_{number}", at(1, 9))
    lane.state_records()

    merge(lane)
    lane.event("once more", "acme", "u_0", at(1, 10))

    restored = lane.reopened()
    for either in (lane, restored):
        either.close(1)
    assert active(restored) == active(lane) == 9
    people, others = (each.state.accounts["acme"].active_users for each in (restored, lane))
    assert (list(people.known), people.bits) == (list(others.known), others.bits)


def test_days_that_the_counts_have_forgotten_are_no_matter() -> None:
    lane = UsageLane()
    for user in ("u_anon", "u_kim"):
        lane.event(f"{user}-1", "acme", user, at(0, 9))
    lane.clock("ACCEPT", at(250))
    lane.event("later", "acme", "u_kim", at(250, 9))
    lane.clock("ACCEPT", at(261))
    lane.event("of a server", "acme", "", at(260, 9), received_at=at(261, 9))

    merge(lane)

    assert len(lane.state.accounts["acme"].active_users) == 1
    assert lane.state.ledger.people_merged == 1


def test_a_person_is_not_merged_with_itself() -> None:
    lane = UsageLane()
    lane.event("e1", "acme", "u_kim", at(0, 9))
    lane.close(0)

    merge(lane, user="u_kim")

    assert active(lane) == 1
    assert lane.state.ledger.controls_ignored == 1


def test_who_is_not_known_changes_nothing() -> None:
    lane = UsageLane()
    lane.event("e1", "acme", "u_kim")
    lane.state_records()

    merge(lane)
    merge(lane, "nobody")
    merge(lane, kind="MEMBER")

    assert lane.state.ledger.people_merged == 0
    assert lane.state.ledger.controls_ignored == 2
    assert not [key for key, _ in lane.state.take_changes() if key[:2] in (b"h:", b"c:")]


def test_a_drive_takes_no_news_of_the_present() -> None:
    lane = UsageLane(start=0)
    lane.clock("DRIVEN", at(), 3)
    lane.event("e1", "acme", "u_anon", at(0, 9), epoch=3)

    merge(lane)
    assert lane.state.ledger.people_merged == 0
    assert (lane.state.ledger.links_deferred, lane.state.ledger.controls_ignored) == (1, 0)
    merge(lane, epoch=3)

    assert lane.state.ledger.people_merged == 1


def test_an_account_that_stands_still_is_left_alone() -> None:
    lane = UsageLane()
    lane.event("e1", "acme", "u_anon")
    lane.fold.quarantine("acme", "broken", frozen=True)

    merge(lane)

    assert lane.state.ledger.controls_ignored == 1
