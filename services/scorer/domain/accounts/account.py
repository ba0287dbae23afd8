"""
Everything that is remembered of one account.

*Hot* is what most events change: today's counts and people, open cases, milestones, flags, the latest evaluation. *Cold*
is what changes at a day's close, by a late event or a rare one: the counts of past days, the people's days, facts,
answers. Each is one record of the lane's state, so that an event costs a small write. Roles are a third, where there are
any.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from services.scorer.domain.accounts.absences import Absences, forget_past
from services.scorer.domain.accounts.active_users import ActiveUsers
from services.scorer.domain.accounts.cases import Cases, forget_closed, open_since
from services.scorer.domain.accounts.daily_counts import ACTIVE, EVENTS, DailyCounts, Days
from services.scorer.domain.accounts.facts import Facts, Since, Value
from services.scorer.domain.accounts.kinds import Kinds
from services.scorer.domain.accounts.roles import Roles, role_code
from services.scorer.domain.accounts.survey_answers import Answers, Sentiment, sentiment

CALM, TOUCHED, RESTATED, URGENT = range(4)
"""Why the account is to be evaluated, if at all; the greatest reason counts."""

NEVER = -1


class Account:
    """
    One account of a lane. Days are days since 1970 UTC, -1: none yet; times milliseconds since 1970 UTC.

    What lies in lists and tuples lies there by the places of `kinds`; ask for it by name.
    """

    __slots__ = (
        "absences",
        "active_users",
        "behind",
        "cases",
        "counts_today",
        "daily_counts",
        "evaluated_at",
        "events_today",
        "facts",
        "historical",
        "kinds",
        "last_active_day",
        "last_evaluation",
        "milestones",
        "name",
        "open_day",
        "queued",
        "roles",
        "stale",
        "survey_answers",
        "touch_closed_day",
        "touched_day",
        "trigger",
    )  # fmt: skip

    def __init__(self, name: str, day: int, kinds: Kinds) -> None:
        """Make an account that is first heard of on a day."""
        self.name = name
        self.kinds = kinds
        # hot
        self.open_day = day
        """The day of the counts of today: all before it are closed. Not kept: it follows from how far the sweep is, and"""
        self.touch_closed_day = day
        """the latest day for which the account was made, or closed by a touch, before the sweep came to it."""
        self.behind = False
        """The sweep has passed it by: its day could not be closed, and is `touch_closed_day` until that is done."""
        self.events_today = 0
        self.counts_today: list[int] | None = None
        """The other counts of today, if there are any."""
        self.milestones: tuple[int, ...] = (NEVER,) * len(kinds.milestones)
        self.last_active_day = NEVER
        self.touched_day = day
        """The last day on which anything came in, activity or not."""
        self.stale = CALM
        """Something came in that can change the snapshot."""
        self.queued = False
        """It is to be evaluated on the next tick."""
        self.trigger = 0
        """Receipt of the event that queued it."""
        self.historical = False
        """Touched by a backfill since its last snapshot."""
        self.evaluated_at = 0
        self.cases: tuple[Cases | None, ...] | None = None
        self.last_evaluation: bytes | None = None
        """The latest snapshot's essence, encoded (see health/last_evaluation.py)."""
        # cold, together with the people whose bits of today are hot
        self.daily_counts = DailyCounts(day - 1, len(kinds.counts))
        self.active_users = ActiveUsers(day - 1)
        self.facts: Facts | None = None
        self.survey_answers: tuple[Answers | None, ...] | None = None
        self.absences: Absences | None = None
        self.roles: Roles | None = None

    def history(self, count: str, day: int) -> Days | None:
        """Return a daily count of the 256 days up to and including `day`, oldest first; None: nothing was ever counted."""
        place = self.kinds.counts.get(count)
        return None if place is None else self.daily_counts.history(place, day)

    def today(self, count: str) -> int:
        """Return a daily count of today, whose day is not closed yet."""
        place = self.kinds.counts.get(count)
        if place in (EVENTS, ACTIVE):
            return self.events_today if place == EVENTS else self.active_users.today.bit_count()
        return 0 if place is None or self.counts_today is None else self.counts_today[place]

    def milestone(self, name: str) -> int:
        """Return the day on which a milestone was reached, -1: not yet."""
        place = self.kinds.milestones.get(name)
        return NEVER if place is None else self.milestones[place]

    def fact(self, name: str) -> Value:
        """Return a fact, None: unknown."""
        place = self.kinds.facts.get(name)
        return None if place is None or self.facts is None else self.facts.values[place]

    def fact_history(self, name: str) -> list[Since]:
        """Return up to eight former values of a fact and the present one, each since when, oldest first."""
        place = self.kinds.facts.get(name)
        return [] if place is None or self.facts is None else self.facts.history(place)

    def open_since(self, sort: str) -> list[int]:
        """Return when each open case of a sort was opened, oldest first."""
        place = self.kinds.cases.get(sort)
        cases = None if place is None or self.cases is None else self.cases[place]
        return open_since(cases) if cases else []

    def sentiment(self, survey: str, now_ms: int) -> Sentiment:
        """Sum up the answers to a survey as of a log time."""
        place = self.kinds.answers.get(survey)
        if place is None or self.survey_answers is None:
            return sentiment(None, now_ms)
        return sentiment(self.survey_answers[place], now_ms, self.kinds.scales[place])

    def in_role(self, role: str) -> npt.NDArray[np.bool_] | None:
        """Return which of `active_users.known` are in a role, `other` for those not declared; None: no role is known."""
        code = role_code(role, self.kinds.roles)
        return None if self.roles is None else self.roles.of(self.active_users.known) == code

    def last_used(self, feature: str) -> npt.NDArray[np.uint16] | None:
        """Return the last closed day on which each of `active_users.known` used a feature, 0: none; None: nobody did."""
        place = self.kinds.features.get(feature)
        return None if place is None else self.active_users.last_used(place)

    def start_counts(self) -> list[int]:
        """Return the counts of today but events and active users, to change them, for the first of them."""
        self.counts_today = [0] * len(self.kinds.counts)
        return self.counts_today

    def reach(self, place: int, day: int) -> bool:
        """Note that what makes a milestone happened on a day; return whether it is the first such day."""
        known = self.milestones[place]
        if known != NEVER and known <= day:
            return False
        self.milestones = (*self.milestones[:place], day, *self.milestones[place + 1 :])
        return True

    def cases_of(self, place: int) -> Cases:
        """Return the cases of a sort, to change them."""
        cases = self.cases or (None,) * len(self.kinds.cases)
        found = cases[place]
        if found is None:
            found = {}
            self.cases = (*cases[:place], found, *cases[place + 1 :])
        return found

    def answers_of(self, place: int) -> Answers:
        """Return the answers to a survey, to change them."""
        answers = self.survey_answers or (None,) * len(self.kinds.answers)
        found = answers[place]
        if found is None:
            found = {}
            self.survey_answers = (*answers[:place], found, *answers[place + 1 :])
        return found

    def close_day(self, day: int, midnight: int) -> tuple[bool, bool]:
        """Make today's counts those of `day`; return whether the hot and the cold state changed."""
        changed = False
        if self.events_today or self.active_users.today or self.counts_today:
            counts = self.daily_counts
            counts.advance(day)
            if self.absences and forget_past(self.absences, day) and not self.absences:
                self.absences = None
            counts.add(ACTIVE, day, self.active_users.close(day))
            counts.add(EVENTS, day, self.events_today)
            for place, count in enumerate(self.counts_today or ()):
                counts.add(place, day, count)
            self.events_today, self.counts_today = 0, None
            changed = True
        forgot = False
        for cases in self.cases or ():
            if cases and forget_closed(cases, midnight):
                forgot = True
        return changed or forgot, changed
