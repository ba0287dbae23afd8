"""
The longer way of an event into the state of a lane: it is the first of its account or day, late, ahead, or more than activity.

The same rules hold for today and for a closed day; a late event leaves the state as if it had been on time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.scorer.domain.accounts import absences, survey_answers
from services.scorer.domain.accounts.account import RESTATED, TOUCHED, URGENT, Account
from services.scorer.domain.accounts.actors import actor_of, person_of, same_for_each_kind
from services.scorer.domain.accounts.daily_counts import ACTIVE, SPAN
from services.scorer.domain.lane.activity import Activity
from services.scorer.domain.lane.day_close import DayClose
from services.scorer.domain.lane.lateness import MOST_DAYS, oldest_day
from services.scorer.domain.lane.meanings import PLAIN, Meanings
from services.scorer.domain.lane.outcome import Rejection
from services.scorer.domain.lane.properties import Wrong
from services.scorer.domain.lane.statements import Statements
from services.scorer.domain.lane.usage_state import UsageState
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.units import DAY_MS

DEBOUNCE_MS = 60_000
"""An account is evaluated at most this often, but for what is urgent and at a day's close."""
_KINDS = frozenset({"TRACK", "PAGE", "SCREEN", "IDENTIFY", "GROUP", "ALIAS"})


class SlowPath:
    """The longer way of an event into the state of a lane."""

    def __init__(
        self, state: UsageState, days: DayClose, meanings: Meanings, plan: TrackingPlan, most_accounts: int
    ) -> None:
        """Apply events to `state`, which may hold so many accounts."""
        self.state = state
        self.days = days
        self.most_accounts = most_accounts
        self.activity = Activity(state, meanings)
        self.statements = Statements(state, meanings, plan)

    def account(self, event: dict[str, Any], origin: Any) -> Account | None:
        """
        Return the account that an event names, closed up to today; made if nobody has named it before.

        None: the event was dead-lettered, since there is no room for one more, or its account stands still.

        Raises:
            KeyFault: the account cannot be closed.
        """
        state = self.state
        name = event["account"]
        account = state.accounts.get(name)
        if account is not None:
            if account.open_day != state.clock.today:
                if state.frozen(name):
                    detail = "the account is quarantined; release it, then send this again under another id"
                    self.dead_letter(Wrong("quarantined", "account", detail), event, origin)
                    return None
                self.days.close_for_touch(account)
            return account
        if len(state.accounts) >= self.most_accounts:
            state.ledger.over_cap += 1
            detail = f"this lane holds {self.most_accounts} accounts already; raise TIDEMARK_SCORER_ACCOUNTS, then send this again under another id"
            self.dead_letter(Wrong("too_many_accounts", "account", detail), event, origin)
            return None
        account = state.new_account(name)
        account.stale = TOUCHED
        return account

    def apply(self, event: dict[str, Any], at: int, origin: Any, kind: str, number: int) -> None:
        """Apply what is late, ahead, a case, an answer, facts or a role; `at` is the time of its record."""
        state = self.state
        clock = state.clock
        occurred = event["occurred_at"]
        day = occurred // DAY_MS
        today = clock.today
        if day > today:  # nothing happens after its record: some clock was ahead
            occurred = min(at, clock.now)
            day = occurred // DAY_MS
        if day < oldest_day(today):
            state.ledger.too_late += 1
            detail = f"happened {today - day} days before the log's time; {MOST_DAYS} is the most that can be counted"
            state.outcomes.append(Rejection("too_late", "occurred_at", detail, event, origin, clock.now))
            return
        if kind not in _KINDS:
            detail = f"this version does not know events of kind {kind}"
            self.dead_letter(Wrong("unknown_kind", "kind", detail), event, origin)
            return
        wanted = self.statements.read(event, kind, number)
        if isinstance(wanted, Wrong):
            self.dead_letter(wanted, event, origin)
            return
        account = self.account(event, origin)
        if account is None:
            return
        state.ledger.applied += 1
        if event["occurred_at"] // DAY_MS > today:
            state.ledger.ahead += 1
        if day < today:
            state.ledger.late_applied += 1
        if event["historical"]:
            account.historical = True
        account.touched_day = max(account.touched_day, day)
        if wanted is not None:
            urgent = self.statements.take(account, event, origin, kind, number, wanted, occurred)
        else:
            urgent = self._count(account, event, number, day)
        account.stale = max(account.stale, urgent)
        state.hot.add(account.name)
        if account.stale and not account.queued:
            self.queue(account, event)

    def merge(self, account: Account, link: Mapping[str, Any]) -> None:
        """
        Make one of two people of an account; a day on which both were active had one active person less.

        Raises:
            KeyFault: the account cannot be closed.
        """
        self.days.close_for_touch(account)
        person, into = person_of(link["user"]), person_of(link["known_as"])
        counts = account.daily_counts
        forgotten = counts.through - SPAN  # events without a user move the counts on, and not the days of people
        was_active = False
        for actor, other in same_for_each_kind(person, into):
            both = account.active_users.merge(actor, other)
            was_active = was_active or both is not None
            for day in both or ():
                if day > forgotten:
                    counts.add(ACTIVE, day, -1)
        answered = [
            survey_answers.merge(answers, link["user"], link["known_as"])
            for answers in account.survey_answers or ()
            if answers
        ]
        has_role = account.roles is not None and account.roles.merge(person, into)
        if has_role:
            self.state.roles.add(account.name)
        was_away = account.absences is not None and absences.merge(account.absences, person, into)
        if not was_active and not has_role and not was_away and not any(answered):
            return
        self.state.ledger.people_merged += 1
        self.state.cold.add(account.name)
        # Who erases a person waits until the latest snapshot does not name them any more.
        account.stale = max(account.stale, URGENT if link["authority"] == "OPERATOR" else RESTATED)
        if not account.queued:
            self.queue(account, link)

    def queue(self, account: Account, event: Mapping[str, Any]) -> None:
        """Have a touched account evaluated on the next tick, unless it was a moment ago and nothing is urgent."""
        if account.stale == URGENT or self.state.clock.now - account.evaluated_at >= DEBOUNCE_MS:
            account.queued = True
            account.trigger = event["received_at"]
            self.state.queue.add(account.name)

    def dead_letter(self, wrong: Wrong, event: dict[str, Any], origin: Any) -> None:
        """Send an event to the dead letters, counted."""
        self.state.ledger.dead_lettered += 1
        self.state.outcomes.append(Rejection(*wrong, event, origin, self.state.clock.now))

    def _count(self, account: Account, event: dict[str, Any], number: int, day: int) -> int:
        """Count an event as activity, if it is any; return how urgent that is."""
        if number < PLAIN:
            return 0
        if not event["internal"]:
            actor = actor_of(event["user"], event["source"], event["actor"])
            self.activity.count(account, actor, number, day)
        return RESTATED if day < self.state.clock.today else TOUCHED
