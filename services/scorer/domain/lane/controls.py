"""
The control records of a lane of usage-events: ticks, clock records and the fleet's factors.

They move the clock, and what is due by then is done: days are closed, accounts evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.scorer.domain.fleet import FleetYear
from services.scorer.domain.lane.clock import IDLE, NEVER
from services.scorer.domain.lane.day_close import DayClose
from services.scorer.domain.lane.usage_state import UsageState
from services.shared.units import HOUR_MS


class StepTooLong(Exception):
    """A record would move log time by more than seven days: somebody has to say whether that is right. Changes nothing."""

    def __init__(self, now: int, at: int) -> None:
        super().__init__(f"log time would step from {now} to {at}")
        self.now = now
        self.at = at


class Controls:
    """
    Fold the control records of one lane, in their order.

    `at` is the time of a record, `offset` its place in the log, as in `UsageFold`.
    """

    def __init__(self, state: UsageState, days: DayClose) -> None:
        """Work on the state of this lane."""
        self._state = state
        self._days = days

    @property
    def due(self) -> int | None:
        """Log time at which the next thing is due in this lane; None: nothing but the next midnight is known before a start."""
        state = self._state
        clock = state.clock
        if not clock.started or (state.queue and not state.held):
            return clock.now
        return min(clock.midnight, self._days.sweep_due())

    def tick(self, tick: Mapping[str, Any], at: int, offset: int, step: int) -> Iterator[None] | None:
        """Fold a tick: the clock moves, touched accounts are evaluated."""
        state = self._state
        clock = state.clock
        if not step:
            state.moved = True
            state.ledger.ticks += 1
            if tick["epoch"] != clock.epoch or (clock.driven and at <= clock.now):
                # A driver that goes on after a crash repeats ticks; it must not matter at what moment it crashed.
                state.ledger.controls_ignored += 1
                return None
            try:
                self.aim(at, offset)
            except StepTooLong:  # no event waits for its answer: the lane goes on, and shows that it was asked
                clock.asked = at
                state.ledger.steps_refused += 1
                return None
            if clock.target > clock.now:
                clock.moved_by = ""
            if clock.target < clock.deadline and clock.pending < 0 and not state.queue:
                clock.ticked = clock.now = clock.target
                return None
        return self._advance_then_evaluate(ticked=True)

    def clock(self, record: Mapping[str, Any], at: int, offset: int, step: int) -> Iterator[None] | None:
        """Fold a clock record: a driver takes over an empty lane, hands over to live, or a long step is judged."""
        state = self._state
        clock = state.clock
        if step:
            return self._advance_then_evaluate(ticked=False)
        state.moved = True
        state.ledger.clocks += 1
        mode = record["mode"]
        if (
            mode == "DRIVEN"
            and not state.accounts
            and not state.ledger.applied
            and record["epoch"] != 0
            and record["at"] > 0
        ):
            if clock.epoch != record["epoch"]:
                clock.driven, clock.epoch = True, record["epoch"]
                clock.set(record["at"])
                clock.ticked = 0
                state.fleet = FleetYear()  # of the same days maybe, which nobody had lived through yet
                state.fleet_moved = True
                state.ids.clear()
                state.ids.roll(clock.now // HOUR_MS)
                state.context = None
            return None
        if mode == "LIVE" and clock.driven:
            clock.driven, clock.epoch = False, 0
            clock.target = max(clock.target, at)
            return self._advance_then_evaluate(ticked=False)
        if mode in {"ACCEPT", "REFUSE"} and not clock.driven:
            clock.answer(offset, at if mode == "ACCEPT" else 0)
            if mode == "REFUSE" or not clock.started:
                return None
            clock.target = max(clock.target, at)
            return self._advance_then_evaluate(ticked=False)
        state.ledger.controls_ignored += 1
        return None

    def fleet(self, record: Mapping[str, Any], step: int) -> Iterator[None] | None:
        """
        Fold the fleet's factor of a day; the first of a day counts. The day that waits for it is evaluated.

        It may come before this lane has closed the day: one that stood still is decided without.
        """
        state = self._state
        clock = state.clock
        if step:
            return self._days.advance()
        state.moved = True
        state.ledger.fleets += 1
        day = record["day"]
        if (
            record["epoch"] != clock.epoch or record["segment"] != "all" or state.fleet.known(day)
            or not clock.started or not clock.today - 250 < day < clock.today + 250
        ):  # fmt: skip
            state.ledger.controls_ignored += 1
            return None
        state.fleet.learn(day, record["factor_ppm"], record["accounts"])
        if record["weight_cap_milli"]:
            state.fleet.cap_milli = record["weight_cap_milli"]
        state.fleet.connected |= frozenset(record["connected"])
        state.fleet_moved = True
        state.context = None
        if day == clock.pending and clock.phase == IDLE:
            return self._days.advance()
        return None

    def answer(self, offset: int, accepted: int) -> None:
        """Take the answer to a long step from further down the log, so that the record which asked can be folded."""
        self._state.clock.answer(offset, accepted)
        self._state.moved = True

    def start(self, at: int) -> None:
        """Give the lane its first time."""
        clock = self._state.clock
        clock.set(at)
        clock.plan(NEVER)
        self._state.ids.roll(at // HOUR_MS)
        self._state.context = None
        self._state.moved = True

    def aim(self, at: int, offset: int) -> bool:
        """Set the time that the clock is to move to; return whether it has to move at all."""
        clock = self._state.clock
        if not clock.started:
            self.start(at)
            return True
        may = clock.may_step(at, offset)
        if may is None:
            raise StepTooLong(clock.now, at)
        if not may:
            self._state.ledger.steps_refused += 1
            return False
        clock.asked = 0
        clock.target = max(clock.target, at)
        return clock.target > clock.now

    def _advance_then_evaluate(self, *, ticked: bool) -> Iterator[None]:
        yield from self._days.advance()
        if ticked:
            yield from self._days.count_the_wait()
        yield from self._days.evaluate_queue()
