"""
Moving log time, and the long work in its way: closing days and evaluating accounts, in steps that can be resumed.

Everything that a step needs to know about the steps before it is in the state (phase, cursor, tally, flags of the
accounts). So after a crash the same call goes on with what is left, whatever the number of the step.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from services.scorer.domain.account import CALM, RESTATED, TOUCHED, URGENT, Account
from services.scorer.domain.clock import CLOSING, EVALUATING
from services.scorer.domain.fleet import SEGMENT, FleetTally
from services.scorer.domain.lane_state import LaneState
from services.scorer.domain.model import Model
from services.scorer.domain.outcome import Partial, Snapshot
from services.scorer.domain.people import WEEKS
from services.scorer.domain.snapshot import Surroundings, evaluate
from services.scorer.domain.state_format import write_verdict
from services.scorer.domain.units import HOUR_MS
from services.scorer.domain.usage import tally

CLOSE_AT_ONCE = 512
EVALUATE_AT_ONCE = 64
"""Accounts a step: about 20 ms of work."""
PEOPLE_AT_ONCE = 25_000
"""People a step, where its accounts have many: a megabyte of state."""
_REASONS = {TOUCHED: "TOUCH", RESTATED: "RESTATED", URGENT: "URGENT", CALM: "TOUCH"}


class DayClose:
    """The long work of one lane."""

    def __init__(self, state: LaneState, model: Model, partition: int, partitions: int) -> None:
        """Work on `state`, which belongs to one of `partitions`."""
        self.state = state
        self.model = model
        self.partition = partition
        self.partitions = partitions

    def advance(self) -> Iterator[None]:
        """Move log time to the clock's target, doing in turn what falls due on the way."""
        state = self.state
        while True:
            clock = state.clock
            state.moved = True
            if clock.phase == CLOSING:
                yield from self._close_accounts()
            elif clock.phase == EVALUATING:
                yield from self._evaluate_accounts()
            elif clock.pending >= 0 and clock.target >= clock.grace_end:
                clock.now = max(clock.now, clock.grace_end)
                self._start(EVALUATING)
            elif clock.target >= clock.midnight:
                clock.now = max(clock.now, clock.midnight)
                state.tally = FleetTally()
                self._start(CLOSING)
            else:
                clock.now = max(clock.now, clock.target)
                clock.plan()
                state.around = None
                state.ids.roll(clock.now // HOUR_MS)
                return

    def start_evaluating(self) -> None:
        """Begin with the pending day: its factor is here."""
        self._start(EVALUATING)

    def evaluate_queue(self) -> Iterator[None]:
        """Evaluate the accounts that were touched, in sorted order; publish what changed."""
        state = self.state
        people = 0
        for done, name in enumerate(sorted(state.queue), 1):
            account = state.accounts[name]
            self.evaluate(account, _REASONS[account.stale], only_if_changed=True)
            state.queue.discard(name)
            people += len(account.people)
            if done % EVALUATE_AT_ONCE == 0 or people >= PEOPLE_AT_ONCE:
                people = 0
                state.moved = True
                yield

    def evaluate(self, account: Account, reason: str, *, only_if_changed: bool) -> None:
        """Evaluate one account now and publish its snapshot."""
        state = self.state
        clock = state.clock
        result = evaluate(account, self._around())
        state.ledger.evaluations += 1
        state.hot.add(account.name)
        if result.changed or not only_if_changed:
            value = result.snapshot
            value["sequence"] = result.verdict.sequence
            value["reason"] = reason
            value["historical"] = clock.driven or account.historical
            value["trigger_received_at"] = account.trigger if reason != "DAY_CLOSE" else 0
            state.outcomes.append(Snapshot(value))
            state.ledger.snapshots += 1
            account.verdict = write_verdict(result.verdict)
            account.historical = False
        account.evaluated_at = clock.now
        account.stale = CALM
        account.queued = False
        account.trigger = 0

    def _start(self, phase: int) -> None:
        self.state.clock.phase = phase
        self.state.clock.cursor = ""
        self.state.around = None

    def _around(self) -> Surroundings:
        state = self.state
        if state.around is None or state.around.at != state.clock.now:
            day = state.clock.closed_day
            fleet = state.fleet
            state.around = Surroundings(state.clock.now, day, fleet.levels(day, WEEKS), state.connected, self.model)
        return state.around

    def _rest(self) -> tuple[list[str], int]:
        """Return the accounts in order, and the position of the first that the phase has not done."""
        order = self.state.order
        return order, bisect_right(order, self.state.clock.cursor)

    def _close_accounts(self) -> Iterator[None]:
        state = self.state
        clock = state.clock
        day, midnight = clock.today, clock.midnight
        order, first = self._rest()
        people = 0
        for at in range(first, len(order)):
            account = state.accounts[order[at]]
            if not account.dormant:
                hot, cold = account.close_day(day, midnight)
                if hot:
                    state.hot.add(account.name)
                if cold:
                    state.cold.add(account.name)
                tally(account, day, state.fleet.cap_milli, state.tally)
                people += len(account.people)
            if (at + 1) % CLOSE_AT_ONCE == 0 or people >= PEOPLE_AT_ONCE:
                people = 0
                clock.cursor = account.name
                state.moved = True
                yield
        clock.day_is_closed()
        state.moved = True
        state.around = None
        self._report(day)
        yield

    def _report(self, day: int) -> None:
        tallied = self.state.tally
        self.state.outcomes.append(
            Partial(
                {
                    "day": day,
                    "segment": SEGMENT,
                    "epoch": self.state.clock.epoch,
                    "partition": self.partition,
                    "partitions": self.partitions,
                    "accounts": tallied.accounts,
                    "weight_sum": tallied.weight_sum,
                    "weighted_ratio_sum": tallied.ratio_sum,
                    "histogram": tallied.counts(),
                    "connected": sorted(self.state.connected),
                }
            )
        )
        self.state.tally = FleetTally()

    def _evaluate_accounts(self) -> Iterator[None]:
        state = self.state
        clock = state.clock
        order, first = self._rest()
        people = 0
        for at in range(first, len(order)):
            account = state.accounts[order[at]]
            if not account.dormant and not account.resting(clock.closed_day):
                if account.asleep(clock.closed_day):
                    account.dormant = True
                self.evaluate(account, "DAY_CLOSE", only_if_changed=False)
                state.queue.discard(account.name)
                people += len(account.people)
            if (at + 1) % EVALUATE_AT_ONCE == 0 or people >= PEOPLE_AT_ONCE:
                people = 0
                clock.cursor = account.name
                state.moved = True
                yield
        clock.day_is_evaluated()
        state.moved = True
        yield


def oldest_day(today: int) -> int:
    """Return the first day that a late event may still belong to: 238 days (34 weeks) before today."""
    return today - 7 * (WEEKS - 2)
