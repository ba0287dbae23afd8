"""
What events state beside activity: cases that open and close, answers to surveys, absences, facts and roles.

A field that cannot be taken is left out of what its event changes, told on the dead letters, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.scorer.domain.accounts import absences, cases, survey_answers
from services.scorer.domain.accounts.account import URGENT, Account
from services.scorer.domain.accounts.actors import person_of
from services.scorer.domain.accounts.facts import Facts, read_traits
from services.scorer.domain.accounts.kinds import traits_of
from services.scorer.domain.accounts.roles import Roles, role_code
from services.scorer.domain.health.measuring import MEASURED
from services.scorer.domain.lane.meanings import Meaning, Meanings
from services.scorer.domain.lane.outcome import Rejection
from services.scorer.domain.lane.properties import Wrong, absence_of, case_id, properties_of, score_of
from services.scorer.domain.lane.usage_state import UsageState
from services.shared.tracking_plan.plan import TrackingPlan, role_trait
from services.shared.tracking_plan.state_names import TYPE_OF_FACT
from services.shared.tracking_plan.state_values import PlannedAbsence
from services.shared.units import DAY_MS


class Statements:
    """Takes what events state into the accounts of a lane."""

    def __init__(self, state: UsageState, meanings: Meanings, plan: TrackingPlan) -> None:
        """Take into `state` what these meanings of events, and the traits of the plan, say."""
        self.state = state
        self.meanings = meanings
        self.kinds = meanings.kinds
        self._traits = traits_of(plan)
        self._renewal = self.kinds.facts.get("renewal_day")
        # What no measure looks at shows in no snapshot, so a change of it has nobody evaluated.
        self._shown_cases = {place for name, place in self.kinds.cases.items() if f"cases.{name}" in MEASURED}
        self._shown_surveys = {place for name, place in self.kinds.answers.items() if f"answers.{name}" in MEASURED}
        self._shown_facts = {place for name, place in self.kinds.facts.items() if name in TYPE_OF_FACT}
        role = role_trait(plan)
        self._role_trait = None if role is None else role.lower()

    def read(self, event: dict[str, Any], kind: str, number: int) -> Any:
        """Return what is needed of the properties of an event, or what is wrong with it; None where nothing is needed."""
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

    def take(
        self, account: Account, event: dict[str, Any], origin: Any, kind: str, number: int, wanted: Any, occurred: int
    ) -> int:
        """Take in what `read` has read; return how urgent that is."""
        if kind == "GROUP":
            return self._facts(account, wanted, occurred, event, origin)
        if kind == "IDENTIFY":
            self._role(account, wanted, occurred, event, origin)
            return 0
        meaning = self.meanings.all[number]
        if meaning.is_case:
            self._case(account, wanted, meaning, occurred)
            return URGENT if meaning.case in self._shown_cases else 0
        if event["internal"] and not (meaning.is_absence and wanted.of_account):
            return 0  # what staff answer, and when one of them is away, says nothing about the customer
        if meaning.is_absence:
            return self._absence(account, wanted, occurred, event, origin)
        user = event["user"] or survey_answers.somebody(event["source"], event["event_id"])
        self._answer(account, user, wanted, meaning, occurred)
        return URGENT if meaning.survey in self._shown_surveys else 0

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
