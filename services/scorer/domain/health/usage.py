"""What an account's days say: windows, trend, people, value and silence, as of the last closed day."""

from __future__ import annotations

from functools import reduce
from math import ceil, fsum
from statistics import median
from typing import NamedTuple

import numpy as np

from schemas.measures import MEASURES
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.active_users import WEEKS
from services.scorer.domain.accounts.daily_counts import SPAN, Days
from services.scorer.domain.fleet import FEWEST_WEEKS, FleetTally
from services.scorer.domain.health.acting import Acting, acting
from services.scorer.domain.health.own_calendar import OwnCalendar, calendar_of, with_fleet
from services.scorer.domain.health.regulars import OWN_WEEKS, Regulars, regulars
from services.scorer.domain.health.trend import BASELINE_WEEKS, WINDOWS, Baseline, Window, trend
from services.scorer.domain.health.working_days import missed_after

LEARNING_WEEKS = int(MEASURES["level_4w"].evidence["baseline_weeks"])
"""Weeks of baseline below which an account has no usual level."""
QUARTER_WEEKS = 12
OFTEN_PER_PERSON, OFTEN_WEEK, SHORT_PAUSE = 1.5, 2.5, 5
"""Days a week of each person, user-days a week, and days of a long pause, of accounts whose silences are judged early."""
SHORTEST, LONGEST_EARLY, LIMIT = 7, 11, 25
"""Silence limits in days: the bounds of such accounts by their pauses, and that of all others."""
_GAP_DAYS = 7 * (BASELINE_WEEKS + 4)
_NO_WEEKS = [0] * WEEKS


class Usage(NamedTuple):
    """The usage part of a snapshot. Days are days since 1970 UTC."""

    day: int
    silent_days: int
    """Closed days since the last active one, without those on which nobody was expected; -1: none was active yet."""
    active_days_7: int
    active_days_210: int
    user_days_84: int
    long_pause: int
    """The 90th percentile (nearest rank) of the days from one active day to the next, of the last 34 weeks; 0: too few."""
    baseline_weeks: int
    windows: tuple[Window, ...]
    baseline: Baseline
    events_7: int
    events_28: int
    active_users_7: int
    active_users_28: int
    active_users_84: int
    expected_in_silence: float
    """The user-days that would have come in the silent days in usual times; fewer in holidays of all accounts."""
    active_users_28_usual: float
    active_users_28_expected: float
    """The usual number in a month like this one: fewer where holidays keep all accounts away."""
    value_days_28: int
    value_weeks_4: int
    value_proven: bool
    calendar: OwnCalendar | None = None
    """The account's own; None: it has none."""
    acting: Acting | None = None
    """Who does it; None: only people are known of."""
    regulars: Regulars | None = None
    """None: none of them is gone."""
    missed_after: int | None = None
    """The silent days before the last of enough working days missed (working_days.py); None: not so many were missed."""

    @property
    def learning(self) -> bool:
        """Whether there is too little baseline for a usual level."""
        return self.baseline_weeks < LEARNING_WEEKS

    @property
    def silence_limit(self) -> int:
        """Days without activity up to which a silence of this account says nothing."""
        return silence_limit(self.baseline.rate, self.days_per_person, self.long_pause, self.missed_after)

    @property
    def days_per_person(self) -> float:
        """Days a week on which each person who is usually active in a month uses the product in usual times."""
        share = 1.0 if self.acting is None or self.acting.people_share_usual is None else self.acting.people_share_usual
        return self.baseline.rate * share / max(1.0, self.active_users_28_usual)


def own_days(account: Account, day: int) -> int:
    """
    Return the days from the account's first one to `day`, both included; 0 before any activity.

    The first day is that of its go-live, once that has come: what was before it is not expected afterwards.
    """
    first_day = account.milestone("first_activity")
    if first_day < 0:
        return 0
    went_live = account.fact("go_live_day")
    if isinstance(went_live, int) and went_live <= day:
        first_day = max(first_day, went_live)
    return max(0, day - first_day + 1)


def own_weeks(account: Account, day: int) -> int:
    """Return the whole weeks of these days."""
    return own_days(account, day) // 7


def usage_of(account: Account, day: int, factors: list[float], value_connected: bool) -> Usage:
    """
    Work out the usage of an account.

    Args:
        account: Its daily counts hold the days up to `day`.
        day: The last closed day.
        factors: The fleet's levels of the weeks that end with `day`, the latest first, 36 of them.
        value_connected: Whether the deployment counts events of value and has had any.
    """
    weeks = own_weeks(account, day)
    baseline_weeks = max(0, min(BASELINE_WEEKS, weeks - WINDOWS[-1]))
    active = account.history("active", day)
    if active is None:
        weekly, active_days, active_days_210, long_pause = _NO_WEEKS, 0, 0, 0
    else:
        weekly = active[SPAN - 7 * WEEKS :].reshape(WEEKS, 7).sum(axis=1)[::-1].tolist()
        active_days = int(np.count_nonzero(active[-7:]))
        active_days_210 = int(np.count_nonzero(active[-7 * BASELINE_WEEKS :]))
        long_pause = _long_pause(np.flatnonzero(active[-max(1, min(_GAP_DAYS, own_days(account, day))) :]))
    week, month, quarter, usual, gone = _people(account, day, weeks)
    who = acting(account, day, baseline_weeks)
    # who is away is a share of all that is expected, and agents go on
    share = who.people_share_usual or 1.0 if who is not None else 1.0
    calendar = calendar_of(account, day, usual / share)
    factors = with_fleet(calendar, factors)
    windows, learned = trend(weekly, factors, weeks)
    events = account.history("events", day)
    value = account.history("value", day)
    value_days = value_weeks = 0
    if value is not None:
        recent = value[-28:]
        value_days = int(np.count_nonzero(recent))
        value_weeks = int(np.count_nonzero(recent.reshape(4, 7).any(axis=1)))
    since_active = max(0, day - account.last_active_day) if account.last_active_day >= 0 else 0
    if value_connected:
        reached = account.milestone("first_value") >= 0 or "first_value" not in account.kinds.milestones
        proven = reached and value_weeks >= 3
    else:
        proven = baseline_weeks >= LEARNING_WEEKS and windows[-1].ratio >= 0.9
    return Usage(
        day=day,
        silent_days=_silent_days(account.last_active_day, day, calendar),
        active_days_7=active_days,
        active_days_210=active_days_210,
        user_days_84=sum(weekly[:QUARTER_WEEKS]),
        long_pause=long_pause,
        baseline_weeks=baseline_weeks,
        windows=windows,
        baseline=learned,
        events_7=int(events[-7:].sum()) if events is not None else 0,
        events_28=int(events[-28:].sum()) if events is not None else 0,
        active_users_7=week,
        active_users_28=month,
        active_users_84=quarter,
        expected_in_silence=learned.rate * _weeks_of(since_active, factors),
        active_users_28_usual=usual,
        active_users_28_expected=usual * min(1.0, fsum(factors[:4]) / 4),
        value_days_28=value_days,
        value_weeks_4=value_weeks,
        value_proven=proven,
        calendar=calendar,
        acting=who,
        regulars=gone,
        missed_after=_missed_after(account, day, active, calendar, usual),
    )


def tally(account: Account, day: int, cap_milli: int, fleet: FleetTally) -> None:
    """Add an account's last seven days to the fleet's partial of `day`, if it has the weeks for it and is not long silent."""
    weeks = min(BASELINE_WEEKS, own_weeks(account, day) - 1)
    if weeks < FEWEST_WEEKS or day - account.last_active_day >= 28:
        return
    active = account.history("active", day)
    if active is None:
        return
    before = int(active[SPAN - 7 * (weeks + 1) : SPAN - 7].sum())
    if before > 0:
        fleet.add(int(active[-7:].sum()), before, weeks, cap_milli)


def _silent_days(last_active_day: int, day: int, calendar: OwnCalendar | None) -> int:
    """Return the closed days since the last active one that were not off; -1: no day was active yet."""
    if last_active_day < 0:
        return -1
    return max(0, day - last_active_day - (0 if calendar is None else len(calendar.off)))


def _missed_after(
    account: Account, day: int, active: Days | None, calendar: OwnCalendar | None, people: float
) -> int | None:
    last = account.last_active_day
    if active is None or last < 0:
        return None
    off = () if calendar is None else [each - last for each in calendar.off]
    return missed_after(active, day - last, own_days(account, day), off, people)


def _weeks_of(days: int, factors: list[float]) -> float:
    """Return how many usual weeks the last `days` days were; those beyond the last known factor are not counted."""
    weeks, rest = divmod(max(0, days), 7)
    begun = factors[weeks] * rest / 7 if weeks < len(factors) else 0.0
    return fsum(factors[:weeks]) + begun


def _long_pause(active_days: np.typing.NDArray[np.int64]) -> int:
    if active_days.size < 2:
        return 0
    pauses = np.sort(np.diff(active_days))
    return int(pauses[ceil(0.9 * pauses.size) - 1])


def silence_limit(usual_week: float, days_per_person: float, long_pause: int, missed_after: int | None = None) -> int:
    """
    Return the days up to which a silence says nothing.

    Where each person works with the product on several days of every week, three of the account's own long pauses, a week at
    least, or the days before the last of enough working days missed, if these are fewer. Elsewhere people come and go in
    bursts, and of what is known beforehand nothing tells a silence that ends from one that does not: 25 days for all
    (docs/adr/0113).

    Args:
        usual_week: Active user-days of a usual week.
        days_per_person: Of each person, a week.
        long_pause: Nine in ten of its pauses are at most so many days.
        missed_after: The silent days before the last of enough working days missed; None: not so many were missed.
    """
    if usual_week < OFTEN_WEEK or days_per_person < OFTEN_PER_PERSON:
        return LIMIT
    limit = min(LONGEST_EARLY, max(SHORTEST, 3 * long_pause)) if long_pause <= SHORT_PAUSE else LIMIT
    return limit if missed_after is None else min(limit, missed_after)


def _people(account: Account, day: int, weeks: int) -> tuple[int, int, int, float, Regulars | None]:
    """Return active people of one week, of four and of twelve, the median of four over the weeks before, and regulars."""
    days = account.active_users.people(day)
    if days is None:
        return 0, 0, 0, 0.0, None
    weekdays = days[:, SPAN - 7 * WEEKS :].reshape(-1, WEEKS, 7).transpose(2, 0, 1)
    seen = reduce(np.bitwise_or, weekdays)[:, ::-1] > 0  # a fifth of the time of a maximum over seven
    counts = (seen[:, : WEEKS - 3] | seen[:, 1 : WEEKS - 2] | seen[:, 2 : WEEKS - 1] | seen[:, 3:]).sum(axis=0)
    # window j spans weeks j..j+3; those before the latest that lie within the account's own time
    usual = counts[4 : max(4, min(4 + BASELINE_WEEKS, weeks - 3))]
    quarter = int(np.count_nonzero(seen[:, :QUARTER_WEEKS].any(axis=1)))
    median_28 = float(median(usual.tolist())) if usual.size else 0.0
    gone = regulars(days, seen, account.active_users.known, account.absences, day) if weeks >= OWN_WEEKS else None
    return int(np.count_nonzero(seen[:, 0])), int(counts[0]), quarter, median_28, gone
