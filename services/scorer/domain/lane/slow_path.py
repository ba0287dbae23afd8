"""
What an event seldom does: it is late or ahead, opens or closes a case, answers a survey, states facts or a role.

The same rules hold for today and for a closed day; a late event leaves the state as if it had been on time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.scorer.domain.accounts import absences, cases, survey_answers
from services.scorer.domain.accounts.account import RESTATED, TOUCHED, URGENT, Account
from services.scorer.domain.accounts.actors import actor_of, person_of, same_for_each_kind
from services.scorer.domain.accounts.daily_counts import ACTIVE, EVENTS
from services.scorer.domain.accounts.facts import Facts, read_traits
from services.scorer.domain.accounts.kinds import traits_of
from services.scorer.domain.accounts.roles import Roles, role_code
from services.scorer.domain.health.measuring import MEASURED
from services.scorer.domain.lane.day_close import DayClose, oldest_day
from services.scorer.domain.lane.meanings import PLAIN, Meaning, Meanings
from services.scorer.domain.lane.outcome import Rejection
from services.scorer.domain.lane.properties import Wrong, absence_of, case_id, properties_of, score_of
from services.scorer.domain.lane.usage_state import UsageState
from services.scorer.domain.units import DAY_MS
from services.shared.tracking_plan.plan import TrackingPlan, role_trait
from services.shared.tracking_plan.state_names import TYPE_OF_FACT
from services.shared.tracking_plan.state_values import PlannedAbsence

DEBOUNCE_MS = 60_000
"""An account is evaluated at most this often, but for what is urgent and at a day's close."""
_KINDS = frozenset({"TRACK", "PAGE", "SCREEN", "IDENTIFY", "GROUP", "ALIAS"})
_FIRST_ACTIVITY = 0


class SlowPath:
    """The longer way of an event into the state of a lane."""

    def __init__(
        self, state: UsageState, days: DayClose, meanings: Meanings, plan: TrackingPlan, most_accounts: int
    ) -> None:
        """Apply events to `state`, which may hold so many accounts."""
        self.state = state
        self.days = days
        self.most_accounts = most_accounts
        self.meanings = meanings
        self.kinds = meanings.kinds
        self._uses = [(m.counts, m.milestones, m.features, frozenset(m.connects)) for m in meanings.all]
        self._traits = traits_of(plan)
        self._renewal = self.kinds.facts.get("renewal_day")
        # What no measure looks at shows in no snapshot, so a change of it has nobody evaluated.
        self._shown_cases = {place for name, place in self.kinds.cases.items() if f"cases.{name}" in MEASURED}
        self._shown_surveys = {place for name, place in self.kinds.answers.items() if f"answers.{name}" in MEASURED}
        self._shown_facts = {place for name, place in self.kinds.facts.items() if name in TYPE_OF_FACT}
        role = role_trait(plan)
        self._role_trait = None if role is None else role.lower()

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

    def first_today(self, account: Account, today: int) -> None:
        """Note that an account is active today, which it was not before."""
        account.last_active_day = today
        account.reach(_FIRST_ACTIVITY, today)
        account.stale = max(account.stale, TOUCHED)
        self.state.connect("usage")
        self.state.connect("breadth")

    def use(self, account: Account, number: int, actor: int | None, today: int) -> None:
        """Note what use of today is beside activity: counts, milestones and features."""
        counts, milestones, features, connects = self._uses[number]
        counted = account.counts_today or account.start_counts()
        for place in counts:
            counted[place] += 1
        reached = account.milestones
        for place in milestones:
            if reached[place] < 0 and account.reach(place, today):
                account.stale = max(account.stale, TOUCHED)
        if features and actor is not None:
            for place in features:
                account.active_users.mark_feature(actor, place, len(self.kinds.features))
        if not connects <= self.state.own_connected:
            for dimension in connects:
                self.state.connect(dimension)

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
        if day < max(0, oldest_day(today)):
            state.ledger.too_late += 1
            detail = f"happened {today - day} days before the log's time; 238 is the most that can be counted"
            state.outcomes.append(Rejection("too_late", "occurred_at", detail, event, origin, clock.now))
            return
        wanted = self._wanted(event, kind, number)
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
        account.dormant = False
        account.touched_day = max(account.touched_day, day)
        urgent = self._change(account, event, origin, kind, number, wanted, occurred)
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
        was_active = False
        for actor, other in same_for_each_kind(person, into):
            both = account.active_users.merge(actor, other)
            was_active = was_active or both is not None
            for day in both or ():
                account.daily_counts.add(ACTIVE, day, -1)
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

    def _wanted(self, event: dict[str, Any], kind: str, number: int) -> Any:
        """Return what is needed of the properties, or what is wrong with the event."""
        if kind not in _KINDS:
            return Wrong("unknown_kind", "kind", f"this version does not know events of kind {kind}")
        if kind == "GROUP" or (kind == "IDENTIFY" and self._role_trait is not None):
            return properties_of(event)
        if number <= self.meanings.last_use:
            return None
        properties = properties_of(event)
        if isinstance(properties, Wrong):
            return properties
        meaning = self.meanings.all[number]
        if meaning.is_case:
            return case_id(properties, meaning)
        if meaning.is_absence:
            return absence_of(properties, event["user"], self.state.clock.today)
        return score_of(properties, meaning, self.kinds.scales[meaning.survey])

    def _change(
        self, account: Account, event: dict[str, Any], origin: Any, kind: str, number: int, wanted: Any, occurred: int
    ) -> int:
        """Change the account by what an event says; return how urgent that is."""
        day, today = occurred // DAY_MS, self.state.clock.today
        if kind == "GROUP":
            return self._facts(account, wanted, occurred, event, origin)
        if kind == "IDENTIFY" and wanted is not None:
            self._role(account, wanted, occurred, event, origin)
            return 0
        if number < PLAIN:
            return 0
        meaning = self.meanings.all[number]
        if meaning.is_case:
            self._case(account, wanted, meaning, occurred)
            return URGENT if meaning.case in self._shown_cases else 0
        if meaning.is_absence:
            return self._absence(account, wanted, occurred, event, origin)
        if meaning.is_answer:
            self._answer(account, event["user"], wanted, meaning, occurred)
            return URGENT if meaning.survey in self._shown_surveys else 0
        if not event["internal"]:
            actor = actor_of(event["user"], event["source"], event["actor"])
            self._activity(account, actor, number, day)
        return RESTATED if day < today else TOUCHED

    def _activity(self, account: Account, actor: int | None, number: int, day: int) -> None:
        """Count activity for its day: today, or a closed one that it belongs to."""
        state = self.state
        today = state.clock.today
        if day < today:
            self._past_activity(account, actor, self.meanings.all[number], day)
            return
        account.events_today += 1
        if actor is not None and account.active_users.mark(actor):
            if account.last_active_day != today:
                self.first_today(account, today)
        elif actor is not None:
            state.ledger.people_dropped += 1
        if number:
            self.use(account, number, actor, today)

    def _past_activity(self, account: Account, actor: int | None, meaning: Meaning, day: int) -> None:
        state = self.state
        state.cold.add(account.name)
        account.daily_counts.add(EVENTS, day, 1)
        if actor is not None:
            news = account.active_users.mark_past(actor, day)
            if news is None:
                state.ledger.people_dropped += 1
            elif news:
                account.daily_counts.add(ACTIVE, day, 1)
            account.last_active_day = max(account.last_active_day, day)
            account.reach(_FIRST_ACTIVITY, day)
            state.connect("usage")
            state.connect("breadth")
            for place in meaning.features:
                account.active_users.mark_past_feature(actor, day, place, len(self.kinds.features))
        for place in meaning.counts:
            account.daily_counts.add(place, day, 1)
        for place in meaning.milestones:
            account.reach(place, day)
        for dimension in meaning.connects:
            state.connect(dimension)

    def _case(self, account: Account, case: str, meaning: Meaning, occurred: int) -> None:
        state = self.state
        times = (occurred, 0) if meaning.opens else (0, occurred)
        if not cases.note(account.cases_of(meaning.case), case, *times):
            state.ledger.cases_dropped += 1
        day = occurred // DAY_MS
        if day == state.clock.today:
            counted = account.counts_today or account.start_counts()
            for place in meaning.counts:
                counted[place] += 1
        else:
            state.cold.add(account.name)
            for place in meaning.counts:
                account.daily_counts.add(place, day, 1)
        for dimension in meaning.connects:
            state.connect(dimension)

    def _answer(self, account: Account, user: str, score: int, meaning: Meaning, occurred: int) -> None:
        state = self.state
        answers = account.answers_of(meaning.survey)
        if not survey_answers.note(answers, user, occurred, score, len(self.kinds.answers)):
            state.ledger.answers_dropped += 1
        survey_answers.forget_old(answers, state.clock.now)
        state.cold.add(account.name)
        for dimension in meaning.connects:
            state.connect(dimension)

    def _absence(
        self, account: Account, planned: PlannedAbsence, occurred: int, event: dict[str, Any], origin: Any
    ) -> int:
        """Take in a planned absence; return how urgent that is."""
        person = absences.ACCOUNT if planned.of_account else person_of(event["user"])
        known = account.absences = {} if account.absences is None else account.absences
        absences.forget_past(known, self.state.clock.today)
        news = absences.note(known, person, planned.first_day, planned.last_day, occurred)
        if news is None:
            detail = f"the absence was left out: the account has {absences.MAX_ABSENCES} of the last 256 days or ahead"
            self._reject(Wrong("too_many_absences", "properties.from", detail), event, origin)
        self.state.cold.add(account.name)
        return URGENT if news else 0

    def _facts(
        self, account: Account, traits: Mapping[str, Any], occurred: int, event: dict[str, Any], origin: Any
    ) -> int:
        """Take facts out of group traits; return how urgent that is."""
        found, wrong = read_traits(traits, self._traits)
        for trait in wrong:
            self._leave_out(trait.trait, trait.detail, event, origin)
        if not found:
            return 0
        if account.facts is None:
            account.facts = Facts(len(self.kinds.facts))
        changed = False
        for place, value in found:
            if account.facts.set(place, value, occurred) and place in self._shown_facts:
                changed = True
            if place == self._renewal and value is not None:
                self.state.connect("renewal")
        self.state.cold.add(account.name)
        return URGENT if changed else 0

    def _role(
        self, account: Account, traits: Mapping[str, Any], occurred: int, event: dict[str, Any], origin: Any
    ) -> None:
        """Take the role of a person out of identify traits."""
        user = event["user"]
        trait = next((trait for trait in traits if trait.lower() == self._role_trait), None)
        if not user or trait is None or event["internal"]:
            return
        try:
            code = role_code(traits[trait], self.kinds.roles)
        except TypeError as error:
            self._leave_out(trait, str(error), event, origin)
            return
        if account.roles is None:
            account.roles = Roles()
        news = account.roles.note(person_of(user), code, occurred)
        if news is None:
            self.state.ledger.people_dropped += 1
        elif news:
            self.state.roles.add(account.name)

    def _leave_out(self, trait: str, detail: str, event: dict[str, Any], origin: Any) -> None:
        self._reject(Wrong("bad_trait", f"traits.{trait}", f"the trait was left out: {detail}"), event, origin)

    def _reject(self, wrong: Wrong, event: dict[str, Any], origin: Any) -> None:
        """Send what was left out of an event that was applied to the dead letters, counted."""
        self.state.ledger.fields_rejected += 1
        self.state.outcomes.append(Rejection(*wrong, event, origin, self.state.clock.now))
