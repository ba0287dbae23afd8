"""
What an event seldom does: it is late or ahead, opens or closes a ticket, answers a survey, states facts.

The same rules hold for today and for a closed day; a late event leaves the state as if it had been on time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from xxhash import xxh64_intdigest

from services.scorer.domain.accounts import survey_answers, tickets
from services.scorer.domain.accounts.account import RESTATED, TOUCHED, URGENT, Account
from services.scorer.domain.accounts.daily_counts import ACTIVE, EVENTS
from services.scorer.domain.accounts.daily_counts import CLOSED as CLOSED_RING
from services.scorer.domain.accounts.daily_counts import OPENED as OPENED_RING
from services.scorer.domain.accounts.daily_counts import VALUE as VALUE_RING
from services.scorer.domain.accounts.facts import FIELDS, Facts, read_traits
from services.scorer.domain.lane.day_close import DayClose, oldest_day
from services.scorer.domain.lane.outcome import Rejection
from services.scorer.domain.lane.usage_state import UsageState
from services.scorer.domain.tracking_plan import ACTIVITY, ANSWER, CLOSED, OPENED, VALUE, Roles, TrackingPlan
from services.scorer.domain.units import DAY_MS

DEBOUNCE_MS = 60_000
"""An account is evaluated at most this often, but for what is urgent and at a day's close."""
_KINDS = frozenset({"TRACK", "PAGE", "SCREEN", "IDENTIFY", "GROUP", "ALIAS"})
_MAX_TICKET_ID = 128
_MAX_SCORE_TEXT = 20
"""Blanks included; int() of endless digits is slow, then refused."""
_json = msgspec.json.Decoder().decode


class RareEvents:
    """The longer way of an event into the state of a lane."""

    def __init__(self, state: UsageState, days: DayClose, roles: Roles, plan: TrackingPlan, most_accounts: int) -> None:
        """Apply events to `state`, which may hold so many accounts."""
        self.state = state
        self.days = days
        self.most_accounts = most_accounts
        self.roles = roles
        self.plan = plan
        self._excludes = roles.excludes
        self._traits = {trait.lower(): field for trait, field in plan.traits.items()}

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
                    self.dead_letter("quarantined", "account", detail, event, origin)
                    return None
                self.days.close_for_touch(account)
            return account
        if len(state.accounts) >= self.most_accounts:
            state.ledger.over_cap += 1
            detail = f"this lane holds {self.most_accounts} accounts already; raise TIDEMARK_SCORER_ACCOUNTS, then send this again under another id"
            self.dead_letter("too_many_accounts", "account", detail, event, origin)
            return None
        account = state.new_account(name)
        account.stale = TOUCHED
        return account

    def first_today(self, account: Account, today: int) -> None:
        """Note that an account is active today, which it was not before."""
        account.last_active_day = today
        if account.first_day < 0:
            account.first_day = today
        account.stale = max(account.stale, TOUCHED)
        self.state.connect("usage")
        self.state.connect("breadth")

    def value(self, account: Account, today: int) -> None:
        """Count a value event of today."""
        account.value_today += 1
        if account.first_value_day < 0:
            account.first_value_day = today
            account.stale = max(account.stale, TOUCHED)
        self.state.connect("value")

    def apply(self, event: dict[str, Any], at: int, origin: Any, kind: str, role: int) -> None:
        """Apply what is late, ahead, a ticket, a survey or facts; `at` is the time of its record."""
        state = self.state
        clock = state.clock
        name = event["account"]
        occurred = event["occurred_at"]
        day = occurred // DAY_MS
        today = clock.today
        if day > today:  # nothing happens after its record: some clock was ahead
            occurred = min(at, clock.now)
            day = occurred // DAY_MS
        if day < oldest_day(today):
            state.ledger.too_late += 1
            detail = f"happened {today - day} days before the log's time; 238 is the most that can be counted"
            state.outcomes.append(Rejection("too_late", "occurred_at", detail, event, origin, clock.now))
            return
        if kind not in _KINDS:
            self.dead_letter("unknown_kind", "kind", f"this version does not know events of kind {kind}", event, origin)
            return
        wanted = self._read_properties(event, origin, kind, role)
        if wanted is None:
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
        account.dormant = False
        account.touched_day = max(account.touched_day, day)
        urgent = RESTATED if day < today else TOUCHED
        if kind == "GROUP":
            urgent = self._facts(account, wanted, occurred, event, origin)
        elif role in (OPENED, CLOSED):
            self._ticket(account, wanted["ticket"], role, occurred, today)
            urgent = URGENT
        elif role == ANSWER:
            if account.answers is None:
                account.answers = {}
            survey_answers.note(account.answers, event["user"], occurred, wanted["score"])
            survey_answers.forget_old(account.answers, clock.now)
            state.connect("sentiment")
            state.cold.add(name)
            urgent = URGENT
        elif role >= ACTIVITY:
            self._activity(account, event["user"], role, day, today)
        else:
            urgent = 0
        account.stale = max(account.stale, urgent)
        state.hot.add(name)
        if account.stale and not account.queued:
            self.queue(account, event)

    def queue(self, account: Account, event: Mapping[str, Any]) -> None:
        """Have a touched account evaluated on the next tick, unless it was a moment ago and nothing is urgent."""
        if account.stale == URGENT or self.state.clock.now - account.evaluated_at >= DEBOUNCE_MS:
            account.queued = True
            account.trigger = event["received_at"]
            self.state.queue.add(account.name)

    def _activity(self, account: Account, user: str, role: int, day: int, today: int) -> None:
        """Count activity for its day: today, or a closed one that it belongs to."""
        state = self.state
        if self._excludes and self.roles.leaves_out(user):
            return
        person = xxh64_intdigest(user.encode()) if user else None
        if day == today:
            account.events_today += 1
            if person is not None and account.people.mark(person):
                if account.last_active_day != today:
                    self.first_today(account, today)
            elif person is not None:
                state.ledger.people_dropped += 1
            if role == VALUE:
                self.value(account, today)
            return
        state.cold.add(account.name)
        account.rings.add(EVENTS, day, 1)
        if person is not None:
            news = account.people.mark_past(person, day)
            if news is None:
                state.ledger.people_dropped += 1
            elif news:
                account.rings.add(ACTIVE, day, 1)
            account.last_active_day = max(account.last_active_day, day)
            account.first_day = day if account.first_day < 0 else min(account.first_day, day)
            state.connect("usage")
            state.connect("breadth")
        if role == VALUE:
            account.rings.add(VALUE_RING, day, 1)
            account.first_value_day = day if account.first_value_day < 0 else min(account.first_value_day, day)
            state.connect("value")

    def _ticket(self, account: Account, ticket: str, role: int, occurred: int, today: int) -> None:
        day = occurred // DAY_MS
        if account.tickets is None:
            account.tickets = {}
        times = (occurred, 0) if role == OPENED else (0, occurred)
        if not tickets.note(account.tickets, ticket, *times):
            self.state.ledger.tickets_dropped += 1
        if day == today:
            if role == OPENED:
                account.opened_today += 1
            else:
                account.closed_today += 1
        else:
            account.rings.add(OPENED_RING if role == OPENED else CLOSED_RING, day, 1)
            self.state.cold.add(account.name)
        self.state.connect("support")

    def _facts(
        self, account: Account, traits: Mapping[str, Any], occurred: int, event: dict[str, Any], origin: Any
    ) -> int:
        """Take facts out of group traits; return how urgent that is."""
        state = self.state
        found, wrong = read_traits(traits, self._traits)
        for trait in wrong:
            state.ledger.fields_rejected += 1
            detail = f"the trait was left out: {trait.detail}"
            state.outcomes.append(
                Rejection("bad_trait", f"traits.{trait.trait}", detail, event, origin, state.clock.now)
            )
        changed = False
        if found and account.facts is None:
            account.facts = Facts()
        for field, value in found:
            if account.facts is not None and account.facts.set(field, value, occurred):
                changed = True
            if FIELDS[field] == "renewal_day" and value is not None:
                state.connect("renewal")
        if found:
            state.cold.add(account.name)
        return URGENT if changed else 0

    def _read_properties(self, event: dict[str, Any], origin: Any, kind: str, role: int) -> dict[str, Any] | None:
        """Return what is needed of the properties; None: something is wrong with it and the event was dead-lettered."""
        if kind != "GROUP" and role not in (OPENED, CLOSED, ANSWER):
            return {}
        try:
            properties = _json(event["properties"])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.dead_letter("bad_properties", "properties", f"not JSON: {error}", event, origin)
            return None
        if not isinstance(properties, dict):
            self.dead_letter("bad_properties", "properties", "send a JSON object", event, origin)
            return None
        if kind == "GROUP":
            return properties
        if role == ANSWER:
            field = self.plan.survey_score
            score = properties.get(field)
            if isinstance(score, str) and score.strip().isdecimal():  # not isdigit: int() takes no superscript two
                score = int(score) if len(score) <= _MAX_SCORE_TEXT else -1
            if (
                isinstance(score, bool)
                or not isinstance(score, (int, float))
                or score != int(score)
                or not 0 <= score <= 10
            ):
                self.dead_letter("bad_score", f"properties.{field}", "send a whole number from 0 to 10", event, origin)
                return None
            return {"score": int(score)}
        field = self.plan.ticket_id
        ticket = properties.get(field)
        if (
            isinstance(ticket, bool)
            or not isinstance(ticket, (str, int))
            or ticket == ""
            or len(str(ticket)) > _MAX_TICKET_ID
        ):
            detail = f"send the ticket's id, text of 1 to {_MAX_TICKET_ID} characters or a whole number"
            self.dead_letter("bad_ticket", f"properties.{field}", detail, event, origin)
            return None
        return {"ticket": str(ticket)}

    def dead_letter(self, reason: str, field: str, detail: str, event: dict[str, Any], origin: Any) -> None:
        """Send an event to the dead letters, counted."""
        self.state.ledger.dead_lettered += 1
        self.state.outcomes.append(Rejection(reason, field, detail, event, origin, self.state.clock.now))
