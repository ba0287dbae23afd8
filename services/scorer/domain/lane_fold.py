"""
The fold of one lane of usage-events: every record moves the state, and nothing else does.

An event is counted once (duplicates.py), for the day on which it happened, on the account that it names. Control
records move the clock and bring the fleet's factors. Whatever cannot be applied is put aside with its reason and
counted; nothing raises on account of what a record says.

`event` is the hot path, a few microseconds long: it looks things up once, branches late, and leaves all that an
event seldom does to other functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xxhash import xxh64_intdigest

from services.scorer.domain.clock import IDLE, JUMP_MS
from services.scorer.domain.day_close import DayClose
from services.scorer.domain.lane_state import LaneState
from services.scorer.domain.model import Model
from services.scorer.domain.parked import FARTHEST_MS
from services.scorer.domain.plan import ACTIVITY, VALUE, Roles, TrackingPlan
from services.scorer.domain.rare_events import RareEvents
from services.scorer.domain.units import DAY_MS, HOUR_MS

PRODUCTION = "production"
_NOTHING = -1
_ROLES_OF_KINDS = {"PAGE": ACTIVITY, "SCREEN": ACTIVITY, "IDENTIFY": _NOTHING, "ALIAS": _NOTHING}


class LaneFold:
    """Fold the records of one lane, in their order."""

    def __init__(self, partition: int, partitions: int, plan: TrackingPlan, model: Model, duplicate_ids: int) -> None:
        """Make an empty lane, one of `partitions`."""
        self.state = LaneState(duplicate_ids)
        self.roles = Roles(plan)
        self.rare = RareEvents(self.state, self.roles, plan)
        self.days = DayClose(self.state, model, partition, partitions)
        self._excludes = self.roles.excludes

    def event(self, event: dict[str, Any], origin: Any, step: int) -> Iterator[None] | None:
        """Fold a usage event. `origin` goes back out with what is put aside."""
        state = self.state
        clock = state.clock
        if step:  # resumed: the clock has taken the event's time before
            return self._advance_then_release() if state.parked.releasing else self._advance_then_apply(event, origin)
        state.moved = True
        if event["epoch"] == clock.epoch:
            received = event["received_at"]
            if received > clock.now:
                if received < clock.deadline:
                    clock.now = clock.target = received
                else:
                    return self._later(event, origin, received)
        elif clock.driven:
            state.ledger.deferred += 1  # put off: whoever drives sends it again after the hand-over
            return None
        self._apply(event, origin)
        return None

    def tick(self, tick: Mapping[str, Any], step: int) -> Iterator[None] | None:
        """Fold a tick: the clock moves, touched accounts are evaluated."""
        state = self.state
        clock = state.clock
        if not step:
            state.moved = True
            state.ledger.ticks += 1
            at = tick["at"]
            if tick["epoch"] != clock.epoch or (clock.driven and at <= clock.now):
                # A driver that goes on after a crash repeats ticks; it must not matter at what moment it crashed.
                state.ledger.controls_ignored += 1
                return None
            if not self._aim(at):
                state.ledger.jumps_ignored += 1
                return None
            state.parked.run = 0
            if at < clock.deadline and not state.queue and not state.parked:
                clock.now = max(clock.now, at)
                return None
        return self._advance_then_evaluate()

    def clock(self, record: Mapping[str, Any], step: int) -> Iterator[None] | None:
        """Fold a clock record: a driver takes over an empty lane, or hands over to live."""
        state = self.state
        clock = state.clock
        if step:
            return self._advance_then_evaluate()
        state.moved = True
        state.ledger.clocks += 1
        mode, at = record["mode"], record["at"]
        untouched = not state.accounts and not state.ledger.applied  # accounts may have been forgotten
        if mode == "DRIVEN" and untouched and record["epoch"] != 0 and at > 0:
            if clock.epoch != record["epoch"]:
                clock.driven, clock.epoch = True, record["epoch"]
                clock.set(at)
                state.ids.clear()
                state.ids.roll(at // HOUR_MS)
                state.around = None
            return None
        if mode == "LIVE" and clock.driven:
            clock.driven, clock.epoch = False, 0
            clock.target = max(clock.target, at)
            return self._advance_then_evaluate()
        state.ledger.controls_ignored += 1
        return None

    def fleet(self, record: Mapping[str, Any], step: int) -> Iterator[None] | None:
        """Fold the fleet's factor of a closed day; the first of a day counts. The day that waits for it is evaluated."""
        state = self.state
        clock = state.clock
        if step:
            return self.days.advance()
        state.moved = True
        state.ledger.fleets += 1
        day = record["day"]
        if (
            record["epoch"] != clock.epoch or record["segment"] != "all" or state.fleet.known(day)
            or not clock.closed_day - 250 < day <= clock.closed_day
        ):  # fmt: skip
            state.ledger.controls_ignored += 1
            return None
        state.fleet.learn(day, record["factor_ppm"], record["accounts"])
        if record["weight_cap_milli"]:
            state.fleet.cap_milli = record["weight_cap_milli"]
        state.fleet.connected |= frozenset(record["connected"])
        state.fleet_moved = True
        state.around = None
        if day == clock.pending and clock.phase == IDLE:
            self.days.start_evaluating()
            return self.days.advance()
        return None

    def _later(self, event: dict[str, Any], origin: Any, received: int) -> Iterator[None] | None:
        if self._aim(received):
            return self._advance_then_apply(event, origin)
        state = self.state
        parked = state.parked
        if received - state.clock.now > FARTHEST_MS or not parked.add(event, origin, state.ledger.ticks):
            self._give_up(event, origin)
            return None
        if not parked.believed:
            return None
        parked.releasing = True
        state.clock.target = parked.earliest()
        return self._advance_then_release()

    def _give_up(self, event: dict[str, Any], origin: Any) -> None:
        self.state.ledger.jumps_ignored += 1
        detail = "received over 26 hours ahead of the log's time; set the clock of that ingest, then send it again"
        self.rare.put_aside("clock_jump", "received_at", detail, event, origin)

    def _aim(self, at: int) -> bool:
        """Set the time that the clock is to move to; False: too far away, not set."""
        clock = self.state.clock
        if not clock.started:
            clock.set(at)
            self.state.ids.roll(at // HOUR_MS)
            self.state.around = None
        elif clock.too_far(at):
            return False
        clock.target = max(clock.target, at)
        return True

    def _advance_then_apply(self, event: dict[str, Any], origin: Any) -> Iterator[None]:
        yield from self.days.advance()
        self._apply(event, origin)

    def _advance_then_evaluate(self) -> Iterator[None]:
        yield from self.days.advance()
        if self.state.parked:
            yield from self._release()
        yield from self.days.evaluate_queue()

    def _advance_then_release(self) -> Iterator[None]:
        yield from self.days.advance()
        yield from self._release()

    def _release(self) -> Iterator[None]:
        """Apply the parked events that the clock has come near to, give up those that wait too long."""
        state = self.state
        clock, parked = state.clock, state.parked
        # each turn looks at the state afresh, so that a resumed release goes on as an undisturbed one would
        while (near := parked.within(clock.now + JUMP_MS)) is not None:
            if near.event["received_at"] > clock.now:
                clock.target = near.event["received_at"]
                yield from self.days.advance()
            else:
                parked.remove(near)
                self._apply(near.event, near.origin)
        for late in parked.expired(state.ledger.ticks):
            parked.remove(late)
            self._give_up(late.event, late.origin)
        parked.releasing = False
        parked.run = 0

    def _apply(self, event: dict[str, Any], origin: Any) -> None:
        state = self.state
        ledger = state.ledger
        name = event["account"]
        if state.ids.seen(xxh64_intdigest(f"{event['source']}\0{name}\0{event['event_id']}".encode())):
            ledger.duplicates += 1
            return
        if event["environment"] != PRODUCTION:
            ledger.non_production += 1
            return
        kind = event["kind"]
        if kind == "TRACK":
            role = self.roles.role(event["name"])
        else:
            found = _ROLES_OF_KINDS.get(kind)
            if found is None:
                self.rare.apply(event, origin, kind, 0)
                return
            role = found
        clock = state.clock
        occurred = event["occurred_at"]
        day = occurred // DAY_MS
        today = clock.today
        if day != today or role > VALUE:
            self.rare.apply(event, origin, kind, role)
            return
        account = state.accounts.get(name)
        if account is None:
            account = self.rare.new_account(name)
        ledger.applied += 1
        if event["historical"]:
            account.historical = True
        if account.touched_day != today:
            account.touched_day = today
            account.dormant = False
        if role >= ACTIVITY:
            user = event["user"]
            if not (self._excludes and self.roles.leaves_out(user)):
                account.events_today += 1
                if user:
                    if account.people.mark(xxh64_intdigest(user.encode())):
                        if account.last_active_day != today:
                            self.rare.first_today(account, today)
                    else:
                        ledger.people_dropped += 1
                if role == VALUE:
                    self.rare.value(account, today)
        state.hot.add(name)
        if account.stale and not account.queued:
            self.rare.queue(account, event)
