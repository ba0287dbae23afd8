"""Each event stays with its day, although accounts are closed one by one: after a restore, a release, a late close."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.lane.clock import SLICES, SWEEP_MS
from services.scorer.domain.lane.sweep import slice_of
from tests.support.scorer import DAY, UsageLane, at, days_of

LATE = next(f"late{n}" for n in range(10_000) if slice_of(f"late{n}") > SLICES - 60)
"""An account whose turn comes in the last minute of a sweep."""

Thaw = Callable[[], None]


@pytest.fixture
def thaw(monkeypatch: pytest.MonkeyPatch) -> Thaw:
    """Let no account called `ice` be closed, until this is called."""
    close_day = Account.close_day

    def raising(account: Account, day: int, midnight: int) -> tuple[bool, bool]:
        if account.name == "ice":
            raise IndexError("ring")
        return close_day(account, day, midnight)

    monkeypatch.setattr(Account, "close_day", raising)
    return lambda: monkeypatch.setattr(Account, "close_day", close_day)


def frozen_lane() -> UsageLane:
    """Return a lane at five on day 1, whose account `ice` has an event of day 0 and could not be closed."""
    lane = UsageLane()
    lane.event("e1", "ice", when=at(0, 9))
    lane.tick(at(0, 9) + 1)
    lane.fold.quarantine("ice", "its day cannot be closed", frozen=True)
    lane.tick(at(1) + SWEEP_MS)
    lane.fleet(0)
    lane.tick(at(1, 5))
    return lane


def test_an_account_made_while_the_day_before_is_swept_keeps_its_events_over_a_restore() -> None:
    lane = UsageLane()
    lane.event("e1", LATE.replace("late", "other"), when=at(0, 9))
    lane.tick(at(1) + 1)
    lane.event("e2", LATE, when=at(1) + 2)
    lane = lane.reopened()
    lane.tick(at(1) + SWEEP_MS)

    assert lane.state.accounts[LATE].events_today == 1
    lane.close(1)
    assert days_of(lane.state.accounts[LATE]) == {DAY + 1: (1, 1)}


def test_a_released_account_whose_day_was_not_closed_keeps_it_over_a_restore(thaw: Thaw) -> None:
    lane = frozen_lane()
    thaw()
    lane.release("ice")
    lane = lane.reopened()
    lane.event("e2", "ice", when=at(1, 6))

    assert days_of(lane.state.accounts["ice"]) == {DAY: (1, 1)}
    assert lane.state.accounts["ice"].events_today == 1


@pytest.mark.usefixtures("thaw")
def test_a_frozen_account_keeps_its_day_over_midnights_and_restores() -> None:
    lane = frozen_lane()
    for day in range(1, 4):
        lane.close(day)
        lane = lane.reopened()

    assert lane.state.accounts["ice"].open_day == DAY
    assert lane.state.frozen("ice")


def test_an_account_that_is_closed_after_the_partial_is_in_no_partial(thaw: Thaw) -> None:
    lane = UsageLane()
    for day in range(50):
        lane.event(f"e{day}", "ice", when=at(day, 9))
        lane.tick(at(day, 9) + 1)
        thaw()
        if day < 49:
            lane.close(day)
    lane.fold.quarantine("ice", "its day cannot be closed", frozen=True)
    lane.tick(at(50) + SWEEP_MS)
    lane.release("ice")
    for minute in range(20, 90):
        lane.tick(at(50) + minute * 60_000)

    first, again = [p for p in lane.partials() if p["day"] == DAY + 49]
    assert again == first | {"repeated": True}
