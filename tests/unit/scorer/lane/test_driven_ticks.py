"""A driver that was killed repeats what it may have sent before: ticks, which then must change nothing."""

from __future__ import annotations

from typing import Any

from tests.support.scorer import UsageLane, at

EPOCH = 7


def driven() -> UsageLane:
    lane = UsageLane(start=0)
    lane.clock("DRIVEN", at(), EPOCH)
    return lane


def event(lane: UsageLane, event_id: str, when: int, **changes: Any) -> None:
    lane.event(event_id, when=when, epoch=EPOCH, historical=True, **changes)


def test_a_tick_that_is_repeated_evaluates_nobody() -> None:
    lane = driven()
    lane.tick(at(1), EPOCH)
    lane.fleet(0, epoch=EPOCH)
    event(lane, "e1", at(1, 3))
    ignored = lane.state.ledger.controls_ignored

    lane.tick(at(1), EPOCH)

    assert lane.snapshots() == []
    assert lane.state.ledger.controls_ignored == ignored + 1


def test_the_next_tick_evaluates_who_was_touched() -> None:
    lane = driven()
    event(lane, "e1", at(0, 3))
    lane.tick(at(0, 6), EPOCH)

    assert [s["at"] for s in lane.snapshots("acme")] == [at(0, 6)]


def test_a_live_tick_behind_the_receipt_of_events_still_evaluates() -> None:
    lane = UsageLane()
    lane.event("e1", when=at(0, 3))
    lane.tick(at(0, 3) - 500)

    assert [s["at"] for s in lane.snapshots("acme")] == [at(0, 3)]
