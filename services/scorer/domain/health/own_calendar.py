"""
What an account's own calendar leaves of its weeks: public holidays of its country, and planned absences.

A day has a share of a usual day of its weekday: 0 where the whole account is away, less by one usual person for each
that is away, a quarter on public holidays and half on days between two of them. The shares of a week, weighted by how
busy the account is on each weekday, are the share of a usual week that can be expected.

Nothing of it is kept: it follows from the account's facts and absences and from the table of public holidays, so that a
replay with the same table gives the same.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.scorer.domain.accounts.absences import of_account, of_people
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.active_users import WEEKS
from services.scorer.domain.accounts.daily_counts import SPAN
from services.shared.calendars.public_holidays import holidays, weekend

HOLIDAY, BRIDGE = 0.25, 0.5
"""What is expected of a public holiday, and of a working day between two of them or between one and a weekend."""
BRIDGED = 8
"""Days at most from one public holiday to the next for the days between them to count as bridges."""
FLOOR = 0.05
"""The least share of a week: expected values are divided by it."""
_PRIOR_WEEKS = 2
_WEEKEND_PRIOR = 0.1

Floats = npt.NDArray[np.float64]


class OwnCalendar(NamedTuple):
    """What an account's calendar says. Days are days since 1970 UTC."""

    shares: list[float]
    """Of a usual week, week by week, the latest first."""
    days_off: frozenset[int]
    """Days of these weeks on which nobody is expected: absences of the account, public holidays."""
    holidays_7: int | None
    """Public holidays among the last seven days; None: the country is not known."""
    absent_from: int | None
    absent_until: int | None
    """The planned absence that the whole account is in now."""


def calendar_of(account: Account, day: int, usual_people: float) -> OwnCalendar | None:
    """
    Return what an account's calendar says of the weeks that end with `day`; None: it has none.

    Args:
        account: Its daily counts hold the days up to `day`.
        day: The last closed day.
        usual_people: Active people of a usual month; each of them is a share of the account.
    """
    code = account.fact("country")
    if not account.absences and not isinstance(code, str):
        return None
    first = day - 7 * WEEKS + 1
    days = np.arange(first, day + 1)
    shares = np.ones(days.size)
    off: set[int] = set()
    public: list[int] = []
    if isinstance(code, str):
        public = [holiday for holiday in holidays(code) if first <= holiday <= day]
        shares = _of_country(code, first, day)
        off.update(public)
    for start, end in of_people(account.absences or {}):
        shares[(days >= start) & (days <= end)] -= 1 / max(usual_people, 1.0)
    absent_from = absent_until = None
    for start, end in of_account(account.absences or {}):
        shares[(days >= start) & (days <= end)] = 0
        off.update(range(max(start, first), min(end, day) + 1))
        if start <= day + 1 and end >= day:  # today, or until yesterday
            absent_from, absent_until = start, end
    busy = _busy(account, days, weekend(code) if isinstance(code, str) else frozenset({5, 6}))
    weekly = (np.clip(shares, 0, 1) * busy).reshape(WEEKS, 7).sum(axis=1)[::-1] / busy[:7].sum()
    return OwnCalendar(
        shares=[max(FLOOR, round(float(share), 9)) for share in weekly],
        days_off=frozenset(off),
        holidays_7=sum(holiday > day - 7 for holiday in public) if isinstance(code, str) else None,
        absent_from=absent_from,
        absent_until=absent_until,
    )


def with_fleet(calendar: OwnCalendar | None, levels: list[float]) -> list[float]:
    """
    Return what is expected of each week by the fleet's level and the account's own calendar together.

    A holiday of many customers shows in both, so the smaller of the two counts, not their product.
    """
    if calendar is None:
        return levels
    pairs = zip(levels, [*calendar.shares, *[1.0] * (len(levels) - len(calendar.shares))], strict=True)
    return [min(level, share) if share < 1 else level for level, share in pairs]


def _busy(account: Account, days: npt.NDArray[np.int64], weekend_days: frozenset[int]) -> Floats:
    """Return how busy the account is on each of the days' weekdays: its active user-days, and a little of what is usual."""
    active = account.history("active", int(days[-1]))
    weekdays = (days[:7] + 3) % 7  # day 0 was a Thursday
    prior = np.where(np.isin(weekdays, list(weekend_days)), _WEEKEND_PRIOR, 1.0) * _PRIOR_WEEKS
    seen = active[SPAN - days.size :].reshape(WEEKS, 7).sum(axis=0) if active is not None else 0
    return np.asarray(np.tile(prior + seen, WEEKS), dtype=np.float64)


def _of_country(code: str, first: int, last: int) -> Floats:
    start, shares = _country(code)
    found = np.ones(last - first + 1)
    low, high = max(first, start), min(last + 1, start + len(shares))
    if low < high:
        found[low - first : high - first] = shares[low - start : high - start]
    return found


@lru_cache(maxsize=256)
def _country(code: str) -> tuple[int, npt.NDArray[np.float32]]:
    """Return the share of each day from the first public holiday to the last, and the former."""
    public = holidays(code)
    if not public:
        return 0, np.ones(0, np.float32)
    start = public[0]
    shares = np.ones(public[-1] - start + 1, np.float32)
    off = set(public)
    weekend_days = weekend(code)

    def free(day: int) -> bool:
        return day in off or (day + 3) % 7 in weekend_days

    for before, after in pairwise(public):
        if after - before <= BRIDGED:
            shares[before - start : after - start] = BRIDGE
    for holiday in public:
        for day in (holiday - 1, holiday + 1):
            if not free(day) and free(2 * day - holiday) and start <= day < start + len(shares):
                shares[day - start] = BRIDGE
    shares[[holiday - start for holiday in public]] = HOLIDAY
    for day in range(start, start + len(shares)):
        if day not in off and (day + 3) % 7 in weekend_days:
            shares[day - start] = 1.0  # as quiet as every weekend
    return start, shares
