"""
What an account's own calendar leaves of its weeks: public holidays of its country, and planned absences.

A day has a share of a usual day of its weekday: 0 where the whole account is away, less by one usual person for each
that is away of those who use the product, a quarter on public holidays and half on days between two of them. The shares
of a week, weighted by how busy the account is on each weekday, are the share of a usual week that can be expected.

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
    """The share of a usual week that is to be expected, week by week, the latest first."""
    off: frozenset[int]
    """Days after the last active one on which nobody was expected: absences of the account, public holidays."""
    holidays_7: int | None
    """Public holidays among the last seven days; None: the country is not known."""
    absent_from: int | None
    absent_until: int | None
    """The planned absence that the whole account is in now."""


class _CountryWeeks(NamedTuple):
    """What the calendar of a country has of the weeks that end with some day."""

    shares: Floats
    """A row a week, the earliest first."""
    public: tuple[int, ...]
    """Its public holidays."""
    prior: Floats
    """How busy an account is at least on the weekday of each column."""


def calendar_of(account: Account, day: int, usual_people: float) -> OwnCalendar | None:
    """
    Return what an account's calendar says of the weeks that end with `day`; None: it has none.

    Args:
        account: Its daily counts hold the days up to `day`.
        day: The last closed day.
        usual_people: Active people of a usual month, more where agents do a part; each of them is a share of the account.
    """
    code = account.fact("country")
    known = account.absences
    if not known and not isinstance(code, str):
        return None
    country = _of_country(code if isinstance(code, str) else "", day)
    shares, absent_from, absent_until = country.shares, None, None
    away: list[tuple[int, int]] = []
    if known:
        shares = shares.copy()
        away = of_account(known)
        # a colleague who never uses the product is none of those whose use is expected
        _take_off(shares, of_people(known, account.active_users), day, 1 / max(usual_people, 1.0))
        _take_off(shares, away, day, 1.0)
        np.maximum(shares, 0, out=shares)
        now = [(first, last) for first, last in away if first <= day + 1 and last >= day]
        absent_from, absent_until = now[0] if now else (None, None)
    busy = country.prior
    active = account.history("active", day)
    if active is not None:
        busy = busy + active[SPAN - 7 * WEEKS :].reshape(WEEKS, 7).sum(axis=0)
    weekly = ((shares * busy).sum(axis=1) / busy.sum())[::-1]
    return OwnCalendar(
        shares=np.maximum(np.round(weekly, 9), FLOOR).tolist(),
        off=_off(account.last_active_day, day, country.public, away),
        holidays_7=sum(holiday > day - 7 for holiday in country.public) if isinstance(code, str) else None,
        absent_from=absent_from,
        absent_until=absent_until,
    )


def _take_off(shares: Floats, absences: list[tuple[int, int]], day: int, share: float) -> None:
    days = shares.reshape(-1)  # a view
    first_of_all = day - days.size + 1
    for first, last in absences:
        low, high = max(first - first_of_all, 0), min(last, day) - first_of_all + 1
        if low < high:
            days[low:high] -= share


def _off(last_active_day: int, day: int, public: tuple[int, ...], away: list[tuple[int, int]]) -> frozenset[int]:
    off = {holiday for holiday in public if holiday > last_active_day}
    for first, last in away:
        off.update(range(max(first, last_active_day + 1), min(last, day) + 1))
    return frozenset(off)


def with_fleet(calendar: OwnCalendar | None, levels: list[float]) -> list[float]:
    """
    Return what is expected of each week by the fleet's level and the account's own calendar together.

    A holiday of many customers shows in both, so the smaller of the two counts, not their product.
    """
    if calendar is None:
        return levels
    pairs = zip(levels, calendar.shares, strict=True)
    return [min(level, share) if share < 1 else level for level, share in pairs]


@lru_cache(maxsize=512)
def _of_country(code: str, day: int) -> _CountryWeeks:
    """Return what a country's calendar has of the weeks that end with a day; an empty code stands for no country."""
    first = day - 7 * WEEKS + 1
    shares = np.ones(7 * WEEKS)
    public: tuple[int, ...] = ()
    if code:
        public = tuple(holiday for holiday in holidays(code) if first <= holiday <= day)
        start, of_days = _country(code)
        low, high = max(first, start), min(day + 1, start + len(of_days))
        if low < high:
            shares[low - first : high - first] = of_days[low - start : high - start]
    weekend_days = weekend(code) if code else frozenset({5, 6})
    weekdays = [(each + 3) % 7 for each in range(first, first + 7)]  # day 0 was a Thursday
    prior = np.array([_WEEKEND_PRIOR if weekday in weekend_days else 1.0 for weekday in weekdays]) * _PRIOR_WEEKS
    shares.flags.writeable = prior.flags.writeable = False
    return _CountryWeeks(shares.reshape(WEEKS, 7), public, prior)


@lru_cache(maxsize=256)
def _country(code: str) -> tuple[int, npt.NDArray[np.float32]]:
    """Return the share of each day from the first public holiday to the last, and the former."""
    public = holidays(code)
    if not public:
        return 0, np.ones(0, np.float32)
    start = public[0]
    shares = np.ones(public[-1] - start + 1, np.float32)
    weekend_days = weekend(code)

    def at_weekend(day: int) -> bool:
        return (day + 3) % 7 in weekend_days

    for before, after in pairwise(public):
        if after - before <= BRIDGED:
            shares[before - start : after - start] = BRIDGE
    for holiday in public:
        for day in (holiday - 1, holiday + 1):
            if at_weekend(2 * day - holiday) and start <= day < start + len(shares):
                shares[day - start] = BRIDGE
    for day in range(start, start + len(shares)):
        if at_weekend(day):
            shares[day - start] = 1.0  # as quiet as every weekend
    shares[[holiday - start for holiday in public]] = HOLIDAY
    return start, shares
