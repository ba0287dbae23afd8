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
from services.scorer.domain.health.acting import Acting, acting
from services.scorer.domain.health.own_calendar import OwnCalendar, calendar_of, with_fleet
from services.scorer.domain.health.trend import BASELINE_WEEKS, WINDOWS, Baseline, Window, trend

LEARNING_WEEKS = int(MEASURES["level_4w"].evidence["baseline_weeks"])
"""Weeks of baseline below which an account has no usual level."""
_GAP_DAYS = 7 * (BASELINE_WEEKS + 4)
_NO_WEEKS = [0] * WEEKS


class Usage(NamedTuple):
    """The usage part of a snapshot. Days are days since 1970 UTC."""

    day: int
    silent_days: int
    """Closed days since the last active one, without those on which nobody was expected; -1: none was active yet."""
    active_days_7: int
    gap_p90_days: int
    baseline_weeks: int
    windows: tuple[Window, ...]
    baseline: Baseline
    events_7: int
    events_28: int
    active_users_7: int
    active_users_28: int
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

    @property
    def learning(self) -> bool:
        """Whether there is too little baseline for a usual level."""
        return self.baseline_weeks < LEARNING_WEEKS

    @property
    def silence_limit(self) -> int:
        """Days without activity that are beyond this account's own habit: seven, or three times its p90 gap."""
        return max(7, 3 * self.gap_p90_days)


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
        weekly, active_days, gap = _NO_WEEKS, 0, 0
    else:
        weekly = active[SPAN - 7 * WEEKS :].reshape(WEEKS, 7).sum(axis=1)[::-1].tolist()
        active_days = int(np.count_nonzero(active[-7:]))
        gap = _gap_p90(np.flatnonzero(active[-max(1, min(_GAP_DAYS, own_days(account, day))) :]))
    week, month, usual = _people(account, day, weeks)
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
    if value_connected:
        reached = account.milestone("first_value") >= 0 or "first_value" not in account.kinds.milestones
        proven = reached and value_weeks >= 3
    else:
        proven = baseline_weeks >= LEARNING_WEEKS and windows[-1].ratio >= 0.9
    return Usage(
        day=day,
        silent_days=_silent_days(account.last_active_day, day, calendar),
        active_days_7=active_days,
        gap_p90_days=gap,
        baseline_weeks=baseline_weeks,
        windows=windows,
        baseline=learned,
        events_7=int(events[-7:].sum()) if events is not None else 0,
        events_28=int(events[-28:].sum()) if events is not None else 0,
        active_users_7=week,
        active_users_28=month,
        active_users_28_usual=usual,
        active_users_28_expected=usual * min(1.0, fsum(factors[:4]) / 4),
        value_days_28=value_days,
        value_weeks_4=value_weeks,
        value_proven=proven,
        calendar=calendar,
        acting=who,
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


def _gap_p90(active_days: np.typing.NDArray[np.int64]) -> int:
    """Return the 90th percentile (nearest rank) of the gaps between active days; 0 with fewer than two."""
    if active_days.size < 2:
        return 0
    gaps = np.sort(np.diff(active_days))
    return int(gaps[ceil(0.9 * gaps.size) - 1])


def _people(account: Account, day: int, weeks: int) -> tuple[int, int, float]:
    """Return active people of one week and of four, and the median of the latter over the weeks before."""
    seen = account.active_users.weeks(day)
    if seen is None:
        return 0, 0, 0.0
    counts = np.count_nonzero(
        seen[:, : WEEKS - 3] | seen[:, 1 : WEEKS - 2] | seen[:, 2 : WEEKS - 1] | seen[:, 3:], axis=0
    )
    # window j spans weeks j..j+3; those before the latest that lie within the account's own time
    usual = counts[4 : max(4, min(4 + BASELINE_WEEKS, weeks - 3))]
    return int(np.count_nonzero(seen[:, 0])), int(counts[0]), float(median(usual.tolist())) if usual.size else 0.0
