"""What an account's days say: windows, trend, people, value and silence, as of the last closed day."""

from __future__ import annotations

from math import ceil, fsum
from statistics import median
from typing import NamedTuple

import numpy as np

from schemas.measures import MEASURES
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.active_users import WEEKS
from services.scorer.domain.accounts.daily_counts import SPAN
from services.scorer.domain.fleet import FEWEST_WEEKS, FleetTally
from services.scorer.domain.health.own_calendar import OwnCalendar, calendar_of, with_fleet
from services.scorer.domain.health.trend import BASELINE_WEEKS, WINDOWS, Baseline, Window, trend

LEARNING_WEEKS = int(MEASURES["level_4w"].evidence["baseline_weeks"])
"""Weeks of baseline below which an account has no usual level."""
QUARTER_WEEKS = 12
STEADY_WEEK = 5
"""User-days a week from which the account's own long pauses say how long a silence is unusual."""
SHORTEST, LONGEST_STEADY, LONGEST = 7, 28, 42
"""Bounds of silence limits, days."""
ONE_A_WEEK = 26
"""The limit of an account with one user-day a week, days."""
SEVERAL = 4
"""People."""
_GAP_DAYS = 7 * (BASELINE_WEEKS + 4)
_NO_WEEKS = [0] * WEEKS


class Pauses(NamedTuple):
    """Days from one active day to the next, over the last 34 weeks; 0 where there are too few."""

    p90: int
    """Nine in ten are at most so long (nearest rank)."""
    second: int
    """The second longest."""


_NO_PAUSES = Pauses(0, 0)


class Usage(NamedTuple):
    """The usage part of a snapshot. Days are days since 1970 UTC."""

    day: int
    silent_days: int
    """Closed days since the last active one, without those on which nobody was expected; -1: none was active yet."""
    active_days_7: int
    active_days_210: int
    user_days_84: int
    pauses: Pauses
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

    @property
    def learning(self) -> bool:
        """Whether there is too little baseline for a usual level."""
        return self.baseline_weeks < LEARNING_WEEKS

    @property
    def silence_limit(self) -> int:
        """Days without activity up to which a silence of this account says nothing."""
        return silence_limit(self.baseline.rate, self.active_users_84, self.pauses)


def own_weeks(account: Account, day: int) -> int:
    """Return the whole weeks from the account's first day to `day`, both included; 0 before any activity."""
    first_day = account.milestone("first_activity")
    return max(0, (day - first_day + 1) // 7) if first_day >= 0 else 0


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
    active = account.history("active", day)
    if active is None:
        weekly, active_days, active_days_210, pauses = _NO_WEEKS, 0, 0, _NO_PAUSES
    else:
        weekly = active[SPAN - 7 * WEEKS :].reshape(WEEKS, 7).sum(axis=1)[::-1].tolist()
        active_days = int(np.count_nonzero(active[-7:]))
        active_days_210 = int(np.count_nonzero(active[-7 * BASELINE_WEEKS :]))
        pauses = _pauses(np.flatnonzero(active[-_GAP_DAYS:]))
    week, month, quarter, usual = _people(account, day, weeks)
    calendar = calendar_of(account, day, usual)
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
    baseline_weeks = max(0, min(BASELINE_WEEKS, weeks - WINDOWS[-1]))
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
        pauses=pauses,
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
    return max(0, day - last_active_day - (0 if calendar is None else calendar.days_off))


def _weeks_of(days: int, factors: list[float]) -> float:
    """Return how many usual weeks the last `days` days were; those beyond the last known factor are not counted."""
    weeks, rest = divmod(max(0, days), 7)
    begun = factors[weeks] * rest / 7 if weeks < len(factors) else 0.0
    return fsum(factors[:weeks]) + begun


def _pauses(active_days: np.typing.NDArray[np.int64]) -> Pauses:
    if active_days.size < 2:
        return _NO_PAUSES
    pauses = np.sort(np.diff(active_days))
    return Pauses(int(pauses[ceil(0.9 * pauses.size) - 1]), int(pauses[-2]) if pauses.size > 1 else 0)


def silence_limit(usual_week: float, people: int, pauses: Pauses) -> int:
    """
    Return the days up to which a silence says nothing.

    An account of five user-days a week or more may be silent for a week, or three of its own long pauses. Smaller ones
    work in bursts: 26 days at one user-day a week, a little fewer the more there are, longer where several people would
    have to stop at once, and never less than they have been silent twice lately (docs/adr/0113).

    Args:
        usual_week: Active user-days of a usual week.
        people: Active in the last twelve weeks.
        pauses: Its own, of the last 34 weeks.
    """
    if usual_week >= STEADY_WEEK:
        return min(LONGEST_STEADY, max(SHORTEST, 3 * pauses.p90))
    days: float = ONE_A_WEEK * max(usual_week, 0.1) ** -0.2
    if people >= SEVERAL:
        days *= 1.2
    return min(LONGEST, max(round(days), pauses.second))


def _people(account: Account, day: int, weeks: int) -> tuple[int, int, int, float]:
    """Return active people of one week, of four and of twelve, and the median of four over the weeks before."""
    seen = account.active_users.weeks(day)
    if seen is None:
        return 0, 0, 0, 0.0
    counts = np.count_nonzero(
        seen[:, : WEEKS - 3] | seen[:, 1 : WEEKS - 2] | seen[:, 2 : WEEKS - 1] | seen[:, 3:], axis=0
    )
    # window j spans weeks j..j+3; those before the latest that lie within the account's own time
    usual = counts[4 : max(4, min(4 + BASELINE_WEEKS, weeks - 3))]
    quarter = int(np.count_nonzero(seen[:, :QUARTER_WEEKS].any(axis=1)))
    median_28 = float(median(usual.tolist())) if usual.size else 0.0
    return int(np.count_nonzero(seen[:, 0])), int(counts[0]), quarter, median_28
