"""
Everything that is remembered of one account.

*Hot* is what most events change: today's counters and people, open tickets, flags, the latest evaluation. *Cold* is
what changes at a day's close, by a late event or a rare one: rings, the people's days, facts, answers. Each is one
record of the lane's state, so that an event costs a small write.
"""

from __future__ import annotations

from services.scorer.domain.accounts.active_users import People
from services.scorer.domain.accounts.daily_counts import ACTIVE, CLOSED, EVENTS, OPENED, SPAN, VALUE, DayRings
from services.scorer.domain.accounts.facts import Facts
from services.scorer.domain.accounts.survey_answers import KEEP_MS, Answers
from services.scorer.domain.accounts.tickets import Tickets, forget_closed, is_open
from services.scorer.domain.units import DAY_MS

CALM, TOUCHED, RESTATED, URGENT = range(4)
"""Why the account is to be evaluated, if at all; the greatest reason counts."""

REST_AFTER_DAYS = 42
REST_EVERY_DAYS = 7
OVERDUE_DAYS = 42
"""How long a renewal that passed without a newer date is still looked at each day."""


class Account:
    """One account of a lane. Days are days since 1970 UTC, -1: none yet; times milliseconds since 1970 UTC."""

    __slots__ = (
        "answers",
        "behind",
        "closed_today",
        "dormant",
        "evaluated_at",
        "events_today",
        "facts",
        "first_day",
        "first_value_day",
        "historical",
        "last_active_day",
        "last_evaluation",
        "name",
        "open_day",
        "opened_today",
        "people",
        "queued",
        "rings",
        "stale",
        "tickets",
        "touch_closed_day",
        "touched_day",
        "trigger",
        "value_today",
    )  # fmt: skip

    def __init__(self, name: str, day: int) -> None:
        """Make an account that is first heard of on a day."""
        self.name = name
        # hot
        self.open_day = day
        """The day of the counts of today: all before it are closed. Not kept: it follows from how far the sweep is, and"""
        self.touch_closed_day = day
        """the latest day for which the account was made, or closed by a touch, before the sweep came to it."""
        self.behind = False
        """The sweep has passed it by: its day could not be closed, and is `touch_closed_day` until that is done."""
        self.events_today = 0
        self.value_today = 0
        self.opened_today = 0
        self.closed_today = 0
        self.first_day = -1
        self.last_active_day = -1
        self.first_value_day = -1
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
        self.dormant = False
        self.evaluated_at = 0
        self.tickets: Tickets | None = None
        self.last_evaluation: bytes | None = None
        """The latest snapshot's essence, encoded (see health/last_evaluation.py)."""
        # cold, together with the people whose bits of today are hot
        self.rings = DayRings(day - 1)
        self.people = People(day - 1)
        self.facts: Facts | None = None
        self.answers: Answers | None = None

    def close_day(self, day: int, midnight: int) -> tuple[bool, bool]:
        """Move today's counts into the rings as those of `day`; return whether the hot and the cold state changed."""
        changed = False
        if self.events_today or self.people.today or self.value_today or self.opened_today or self.closed_today:
            rings = self.rings
            rings.advance(day)
            rings.add(ACTIVE, day, self.people.close(day))
            rings.add(EVENTS, day, self.events_today)
            rings.add(VALUE, day, self.value_today)
            rings.add(OPENED, day, self.opened_today)
            rings.add(CLOSED, day, self.closed_today)
            self.events_today = self.value_today = self.opened_today = self.closed_today = 0
            changed = True
        forgot = bool(self.tickets) and forget_closed(self.tickets or {}, midnight)
        return changed or forgot, changed

    def resting(self, day: int) -> bool:
        """
        Tell whether the close of `day` needs no evaluation: nothing came in for six weeks, nothing is waited for.

        All windows have been empty for two weeks by then, and what still moves, the usual level that fades out of
        the baseline, moves slowly: one evaluation a week follows it.
        """
        idle = day - self.touched_day
        return idle > REST_AFTER_DAYS and idle % REST_EVERY_DAYS != 0 and not self._awaits(day)

    def forgettable(self, day: int) -> bool:
        """
        Tell whether nothing is lost by forgetting the account: nobody has mentioned it for more than 256 days, and nothing is open.

        A contract, a revenue or a renewal keeps it, except where the renewal passed as long ago: that customer has left.
        """
        if day - self.touched_day <= SPAN or self._awaits(day):
            return False
        if self.facts is None:
            return True
        renewal = self.facts.get("renewal_day")
        if isinstance(renewal, int):
            return day - renewal > SPAN
        return self.facts.get("contract_start_day") is None and not self.facts.get("revenue")

    def asleep(self, day: int) -> bool:
        """Tell whether nothing came in for 256 days and nothing is waited for."""
        return day - self.touched_day >= SPAN and not self._awaits(day)

    def _awaits(self, day: int) -> bool:
        """Tell whether time alone will change the account: an open ticket, an answer that ages, a renewal near or due."""
        if self.tickets and any(is_open(times) for times in self.tickets.values()):
            return True
        if self.answers and any(day * DAY_MS - at <= KEEP_MS for at, _ in self.answers.values()):
            return True
        renewal = self.facts.get("renewal_day") if self.facts else None
        return isinstance(renewal, int) and renewal >= day - OVERDUE_DAYS

    def daily(self) -> dict[int, tuple[int, int]]:
        """Return activity events and active user-days of each day that has any, today under the day after the last closed."""
        through = self.rings.through
        events, active = self.rings.history(EVENTS, through), self.rings.history(ACTIVE, through)
        found: dict[int, tuple[int, int]] = {}
        for back in range(SPAN):
            at = SPAN - 1 - back
            pair = (int(events[at]) if events is not None else 0, int(active[at]) if active is not None else 0)
            if pair != (0, 0):
                found[through - back] = pair
        return found
