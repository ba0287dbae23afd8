"""
The fold of one lane of usage-events: every record moves the state, and nothing else does.

An event is counted once (duplicates.py), for the day on which it happened, on the account that it names. Control
records move the clock and bring the fleet's factors (controls.py); commands are orders of people. Whatever cannot be applied is
dead-lettered with its reason and counted; nothing raises on account of what a record says.

`event` is the hot path, a few microseconds long: it looks things up once, branches late, and leaves all that an
event seldom does to other functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xxhash import xxh64_intdigest

from services.scorer.domain.accounts.account import URGENT
from services.scorer.domain.accounts.actors import FIRST_OF, actor_of
from services.scorer.domain.health.model import Model
from services.scorer.domain.lane.controls import Controls
from services.scorer.domain.lane.day_close import DayClose
from services.scorer.domain.lane.meanings import NO_ACTIVITY, PLAIN, Meanings
from services.scorer.domain.lane.outcome import Forgotten
from services.scorer.domain.lane.slow_path import SlowPath
from services.scorer.domain.lane.state_format import DEFAULT
from services.scorer.domain.lane.usage_state import UsageState
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.units import DAY_MS

PRODUCTION = "production"
_KINDS = {"PAGE": PLAIN, "SCREEN": PLAIN, "IDENTIFY": NO_ACTIVITY, "ALIAS": NO_ACTIVITY}
_PAGES = frozenset({"PAGE", "SCREEN"})


class NotStarted(Exception):
    """An event of some drive came before any record that gives this lane a time. Changes nothing; see `Controls.start`."""


class UsageFold:
    """
    Fold the records of one lane, in their order.

    `at` is the time of a record, milliseconds since 1970 UTC: live the smaller of the broker's append time and its
    writer's own, in a drive the writer's own. `offset` is its place in the log.
    """

    def __init__(
        self,
        partition: int,
        partitions: int,
        plan: TrackingPlan,
        model: Model,
        duplicate_ids: int,
        most_accounts: int = 1 << 30,
        written: int = DEFAULT,
    ) -> None:
        """Make an empty lane, one of `partitions`, whose state is written in this format."""
        self.meanings = Meanings(plan)
        self.state = UsageState(duplicate_ids, self.meanings.kinds, written)
        self.days = DayClose(self.state, model, partition, partitions)
        self.controls = Controls(self.state, self.days)
        self.slow = SlowPath(self.state, self.days, self.meanings, plan, most_accounts)
        self.activity = self.slow.activity
        self._numbers = self.meanings.cache
        self._last_use = self.meanings.last_use
        self._kinds = dict(_KINDS)
        if self.meanings.kinds.roles:
            del self._kinds["IDENTIFY"]
        self._page_numbers = self.meanings.page_cache
        if self.meanings.pages:
            del self._kinds["PAGE"], self._kinds["SCREEN"]

    def event(self, event: dict[str, Any], at: int, offset: int, origin: Any, step: int) -> Iterator[None] | None:
        """
        Fold a usage event. `origin` goes back out with what is dead-lettered.

        Raises:
            StepTooLong: it would move log time too far.
            NotStarted: its time is that of a drive, and this lane has none of its own.
            KeyFault: its account cannot be closed.
        """
        state = self.state
        clock = state.clock
        if step:  # resumed: the clock has taken the event's time before
            return self._advance_then_apply(event, at, origin)
        if event["epoch"] == clock.epoch:
            if at > clock.now:
                if at < clock.deadline:
                    clock.now = clock.target = at
                    clock.moved_by = event["accepted_by"]
                elif self.controls.aim(at, offset):
                    clock.moved_by = event["accepted_by"]
                    state.moved = True
                    return self._advance_then_apply(event, at, origin)
        elif clock.driven:
            state.moved = True
            state.ledger.deferred += 1
            return None
        elif not clock.started:
            raise NotStarted
        state.moved = True
        self._apply(event, at, origin)
        return None

    def link(self, link: Mapping[str, Any]) -> None:
        """
        Fold what attribution has found out: two people of an account are one.

        Raises:
            KeyFault: the account cannot be closed.
        """
        state = self.state
        state.moved = True
        if state.clock.driven and link["epoch"] != state.clock.epoch:
            state.ledger.links_deferred += 1
            return
        account = state.accounts.get(link["account"])
        of_two = link["kind"] == "SAME" and link["user"] != link["known_as"]
        if not of_two or account is None or state.frozen(account.name):
            state.ledger.controls_ignored += 1
            return
        self.slow.merge(account, link)

    def command(self, record: Mapping[str, Any]) -> None:
        """Fold an order of a person: RELEASE has a quarantined account evaluated again, FORGET ends an account."""
        state = self.state
        state.moved = True
        account = state.accounts.get(record["account"])
        if record["command"] == "FORGET" and account is not None:
            if account.name in state.quarantined:
                state.release(account)
            state.forget(account)
            state.outcomes.append(Forgotten(account.name, state.clock.now, state.clock.driven))
            return
        if record["command"] != "RELEASE" or account is None or account.name not in state.quarantined:
            state.ledger.controls_ignored += 1
            return
        state.release(account)
        account.stale = URGENT
        account.queued = True
        state.hot.add(account.name)
        state.queue.add(account.name)

    def quarantine(self, name: str, detail: str, *, frozen: bool) -> None:
        """Set an account apart that could not be worked on; frozen, if its day cannot be closed."""
        account = self.state.accounts.get(name)
        if account is not None and not self.state.frozen(name):
            self.state.quarantine(account, detail, frozen=frozen)

    def _advance_then_apply(self, event: dict[str, Any], at: int, origin: Any) -> Iterator[None]:
        yield from self.days.advance()
        self._apply(event, at, origin)

    def _apply(self, event: dict[str, Any], at: int, origin: Any) -> None:
        state = self.state
        ledger = state.ledger
        name = event["account"]
        environment = event["environment"]
        # the one definition of an event's identity; written out here, since a call costs as much as the hash
        identity = f"{event['source']}\0{name}\0{event['event_id']}"
        if environment != PRODUCTION:  # a copy of production has its ids
            identity += f"\0{environment}"
        if state.ids.seen(xxh64_intdigest(identity.encode())):
            ledger.duplicates += 1
            return
        if environment != PRODUCTION:
            ledger.non_production += 1
            return
        kind = event["kind"]
        if kind == "TRACK":
            number = self._numbers.get(event["name"])
            if number is None:
                number = self.meanings.number(event["name"])
        else:
            number = self._kinds.get(kind)
            if number is None:
                if kind not in _PAGES:
                    self.slow.apply(event, at, origin, kind, PLAIN)
                    return
                number = self._page_numbers.get(event["name"])
                if number is None:
                    number = self.meanings.page_number(event["name"])
        clock = state.clock
        occurred = event["occurred_at"]
        day = occurred // DAY_MS
        today = clock.today
        if day != today or number > self._last_use:
            self.slow.apply(event, at, origin, kind, number)
            return
        account = state.accounts.get(name)
        if account is None or account.touched_day != today:
            account = self.slow.account(event, origin)
            if account is None:
                return
            account.touched_day = today
        ledger.applied += 1
        if number >= PLAIN:
            user = event["user"]
            if not event["internal"]:
                account.events_today += 1
                if event["actor"] in FIRST_OF:
                    actor = actor_of(user, event["source"], event["actor"])
                else:
                    actor = xxh64_intdigest(user.encode()) >> 2 if user else None
                if actor is not None:
                    if account.active_users.mark(actor):
                        if account.last_active_day != today:
                            self.activity.first_today(account, today)
                    else:
                        ledger.people_dropped += 1
                if number:
                    self.activity.use(account, number, actor, today)
        state.hot.add(name)
        if account.stale:
            if event["historical"]:  # what changes nothing is not what the next snapshot comes of
                account.historical = True
            if not account.queued:
                self.slow.queue(account, event)
