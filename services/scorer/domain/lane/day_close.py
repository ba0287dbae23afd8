"""
Move log time, and do the long work that this takes: close days and evaluate accounts, in steps that can be resumed.

All that a step must know of the steps before it is in the state (phase, cursor, tally, days of the accounts). So after
a crash the same call does what is left, whatever the number of the step. How far a sweep gets at a record depends on
log time alone, so a replay gets as far at the same record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from services.scorer.domain.accounts.account import CALM, RESTATED, TOUCHED, URGENT, Account
from services.scorer.domain.accounts.active_users import WEEKS
from services.scorer.domain.accounts.resting import is_forgettable, is_resting
from services.scorer.domain.fleet import SEGMENT, FleetTally
from services.scorer.domain.health import last_evaluation
from services.scorer.domain.health.model import Model
from services.scorer.domain.health.snapshot import EvaluationContext, evaluate
from services.scorer.domain.health.usage import tally
from services.scorer.domain.lane.clock import (
    CLOSING,
    EVALUATING,
    GRACE_MS,
    IDLE,
    NEVER,
    REPEAT_MS,
    SLICES,
    TICK_COUNTS_MS,
)
from services.scorer.domain.lane.outcome import Forgotten, Partial, Snapshot
from services.scorer.domain.lane.usage_state import UsageState
from services.shared.errors import KeyFault
from services.shared.units import DAY_MS, HOUR_MS

CLOSE_AT_ONCE = 512
EVALUATE_AT_ONCE = 64
"""Accounts per step: about 20 ms of work."""
PEOPLE_AT_ONCE = 25_000
"""People per step, if its accounts have many: a megabyte of state."""
_REASONS = {TOUCHED: "TOUCH", RESTATED: "RESTATED", URGENT: "URGENT", CALM: "TOUCH"}


class DayClose:
    """The long work of one lane."""

    def __init__(self, state: UsageState, model: Model, partition: int, partitions: int) -> None:
        """Work on `state`, which belongs to one of `partitions`."""
        self.state = state
        self.model = model
        self.partition = partition
        self.partitions = partitions
        self.write: Callable[[Mapping[str, Any]], bytes] = lambda _: b""
        """Encodes a snapshot; the edge sets it. What raises in it is the account's fault, as in an evaluation."""

    def advance(self) -> Iterator[None]:
        """Move log time to the clock's target, doing in turn what falls due on the way."""
        state = self.state
        clock = state.clock
        state.moved = True
        while True:
            limit = min(clock.target, clock.midnight)
            if clock.phase == IDLE and clock.pending >= 0 and state.fleet.known(clock.pending):
                clock.begin(EVALUATING, clock.now)
                state.context = None
            if clock.phase != IDLE:
                clock.now = max(clock.now, limit)
                # a new day may not begin on an unfinished one
                due = SLICES if clock.target >= clock.midnight else clock.slice_at(limit)
                yield from self._close_accounts(due) if clock.phase == CLOSING else self._evaluate_accounts(due)
                if clock.phase == IDLE:
                    continue
            clock.now = max(clock.now, limit)
            if clock.target < clock.midnight:
                break
            self._new_day()
        state.context = None
        state.ids.roll(clock.now // HOUR_MS)
        clock.plan(self.sweep_due())
        state.moved = True  # again: the steps before may be durable already

    def sweep_due(self) -> int:
        """Return the log time at which the next account of a sweep has its turn; NEVER: no sweep is under way."""
        clock = self.state.clock
        if clock.phase == IDLE:
            return NEVER
        slice_ = self.state.order.next_slice(clock.cursor)
        return clock.now if slice_ is None else clock.due_at(slice_)

    def count_the_wait(self) -> Iterator[None]:
        """
        Count a tick that was folded: the pending day has waited longer for its factor.

        At half of the grace the partial is repeated, at its end the day is evaluated with the factor of the day before.
        """
        clock = self.state.clock
        waited = min(max(0, clock.now - clock.ticked), TICK_COUNTS_MS)
        clock.ticked = max(clock.ticked, clock.now)
        self.state.moved = True
        if clock.pending < 0 or clock.phase != IDLE:
            return
        clock.waited += waited
        if clock.waited >= REPEAT_MS and not clock.repeated:
            clock.repeated = True
            self._report()
        if clock.waited >= GRACE_MS:
            clock.begin(EVALUATING, clock.now)
            yield from self.advance()

    def evaluate_queue(self) -> Iterator[None]:
        """Evaluate the accounts that were touched, in sorted order; publish what changed."""
        state = self.state
        if state.held:
            return
        people = 0
        for done, name in enumerate(sorted(state.queue), 1):
            state.queue.discard(name)
            account = state.accounts.get(name)
            if account is None or name in state.quarantined:
                continue
            self.close_for_touch(account)
            self.evaluate(account, _REASONS[account.stale], only_if_changed=True)
            people += len(account.active_users)
            if done % EVALUATE_AT_ONCE == 0 or people >= PEOPLE_AT_ONCE:
                people = 0
                state.moved = True
                yield

    def close_for_touch(self, account: Account) -> None:
        """
        Close an account out of its turn, because something is to be done with it.

        Raises:
            KeyFault: the account cannot be closed.
        """
        if account.open_day < self.state.clock.today:
            self.close(account)
            account.touch_closed_day = account.open_day
            self.state.hot.add(account.name)

    def close(self, account: Account) -> None:
        """
        Close the day before today of one account, unless that is done.

        Raises:
            KeyFault: the account cannot be closed; its state is in doubt.
        """
        state = self.state
        today = state.clock.today
        if account.open_day >= today:
            return
        try:
            hot, cold = account.close_day(account.open_day, today * DAY_MS)
            if state.clock.phase == CLOSING:
                tally(account, today - 1, state.fleet.cap_milli, state.tally)
        except Exception as error:
            raise KeyFault(account.name, f"closing its day raised {type(error).__name__}: {error}") from error
        account.open_day = today
        if hot or account.behind:
            account.behind = False
            state.hot.add(account.name)
        if cold:
            state.cold.add(account.name)
            if account.roles is not None and account.roles.forget_idle(account.active_users.known, today * DAY_MS):
                account.roles = account.roles if account.roles.known else None
                state.roles.add(account.name)

    def evaluate(self, account: Account, reason: str, *, only_if_changed: bool) -> None:
        """Evaluate one account now and publish its snapshot; one that raises is quarantined."""
        state = self.state
        if account.name in state.quarantined:
            return
        clock = state.clock
        state.moved = True
        state.ledger.evaluations += 1
        state.hot.add(account.name)
        account.stale = CALM
        account.queued = False
        try:
            result = evaluate(account, self._context())
            publish = result.changed or not only_if_changed
            value = result.snapshot
            value["sequence"] = result.last_evaluation.sequence
            value["reason"] = reason
            value["historical"] = clock.driven or account.historical
            value["trigger_received_at"] = account.trigger if reason != "DAY_CLOSE" else 0
            encoded = self.write(value) if publish else b""
        except Exception as error:  # noqa: BLE001 - it changes nothing, so only this account is in doubt
            state.quarantine(account, f"its evaluation raised {type(error).__name__}: {error}")
            return
        if publish:
            state.outcomes.append(Snapshot(value, encoded))
            state.ledger.snapshots += 1
            account.last_evaluation = last_evaluation.write(result.last_evaluation)
        # Published or not: what the past has changed is in it, and the next snapshot has another cause.
        account.historical = False
        account.evaluated_at = clock.now
        account.trigger = 0

    def _new_day(self) -> None:
        state = self.state
        if state.clock.pending >= 0:
            state.ledger.days_overtaken += 1
        state.clock.new_day()
        state.tally = FleetTally()
        state.context = None

    def _context(self) -> EvaluationContext:
        state = self.state
        if state.context is None or state.context.at != state.clock.now:
            day = state.clock.closed_day
            fleet = state.fleet
            state.context = EvaluationContext(
                state.clock.now, day, fleet.levels(day, WEEKS), state.connected, self.model
            )
        return state.context

    def _close_accounts(self, slices: int) -> Iterator[None]:
        state = self.state
        clock = state.clock
        people = 0
        for done, name in enumerate(state.order.after(clock.cursor, slices), 1):
            account = state.accounts[name]
            if not state.frozen(name):
                self.close(account)
                if is_forgettable(account, clock.closed_day) and name not in state.quarantined:
                    state.forget(account)
                    state.outcomes.append(Forgotten(name, clock.now, clock.driven or account.historical))
            clock.cursor = name
            people += len(account.active_users)
            if done % CLOSE_AT_ONCE == 0 or people >= PEOPLE_AT_ONCE:
                people = 0
                state.moved = True
                yield
        if state.order.next_slice(clock.cursor) is None:
            clock.begin(IDLE, 0)
            state.context = None
            self._report()
            state.moved = True
            yield

    def _report(self) -> None:
        clock, tallied = self.state.clock, self.state.tally
        self.state.outcomes.append(
            Partial(
                {
                    "day": clock.pending,
                    "segment": SEGMENT,
                    "epoch": clock.epoch,
                    "partition": self.partition,
                    "partitions": self.partitions,
                    "repeated": clock.repeated,
                    "accounts": tallied.accounts,
                    "weight_sum": tallied.weight_sum,
                    "weighted_ratio_sum": tallied.ratio_sum,
                    "histogram": tallied.counts(),
                    "connected": sorted(self.state.connected),
                }
            )
        )

    def _evaluate_accounts(self, slices: int) -> Iterator[None]:
        state = self.state
        clock = state.clock
        day = clock.pending
        people = 0
        for done, name in enumerate(state.order.after(clock.cursor, slices), 1):
            account = state.accounts[name]
            if not is_resting(account, day) and account.open_day > day:
                self.evaluate(account, "DAY_CLOSE", only_if_changed=False)
                state.queue.discard(name)
                people += len(account.active_users)
            clock.cursor = name
            if done % EVALUATE_AT_ONCE == 0 or people >= PEOPLE_AT_ONCE:
                people = 0
                state.moved = True
                yield
        if state.order.next_slice(clock.cursor) is None:
            clock.begin(IDLE, 0)
            clock.pending = -1
            state.moved = True
            yield
