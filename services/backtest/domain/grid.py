"""
Account-weeks, and what came after each: the grid on which scores and alarms are measured.

Only what happened is looked at, never what Tidemark said. A week of an account is *valid* if the account is at least 8
weeks old, has a base of at least so many active user-days a week, has been silent for at most 8 weeks, and 12 later weeks
are known. It is a *loss* if the 12 weeks after it come to at most 35 % of the base, the weekly mean of the 30 weeks that
end with it; where it is known which accounts were lost, if this one was within the 12 weeks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

WEEK = 7
FEWEST_WEEKS = 8
RULES_FROM_WEEKS = 12
"""Tidemark's usage rules say nothing of younger accounts: four weeks are held against eight or more before."""
BASE_WEEKS = 30
MOST_SILENT_WEEKS = 8
LATER_WEEKS = 12
LATER_DAYS = LATER_WEEKS * WEEK
LOST_BELOW = 0.35
BEFORE_DAYS = 28
"""A call may come so many days before a loss starts, and finds it all the same."""
AFTER_DAYS = 56
"""And so many after."""
BEFORE_LOST_DAYS = LATER_DAYS + BEFORE_DAYS
"""Where it is known when accounts were lost: so many days before that day, and until the day before it."""
APART_DAYS = 56
"""A loss that begins within so many days of a week that was one already is the same loss."""
_SUNDAY = 3
"""1970-01-01 was a Thursday."""
HOLIDAYS = ((12, 15), (1, 9))
"""First and last day of the holidays, month and day."""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Some days of some accounts, one entry each in every array."""

    account: Ints
    """Row of the activity."""
    column: Ints
    """Column of the activity: the last day that is looked back on."""
    valid: Bools
    base: Floats
    """Active user-days a week."""
    loss: Bools
    holiday: Bools

    def __len__(self) -> int:
        """Return how many there are."""
        return int(self.account.size)

    def only(self, which: Bools) -> Points:
        """Return some of them."""
        return Points(
            self.account[which], self.column[which], self.valid[which], self.base[which], self.loss[which],
            self.holiday[which],
        )  # fmt: skip


class Grid:
    """The activity of accounts, to be asked about any of their days."""

    def __init__(
        self,
        activity: NDArray[np.uint16],
        first_day: int,
        *,
        least_base: float = 1.0,
        lost: Mapping[int, int] | None = None,
    ) -> None:
        """
        Look at some activity.

        Args:
            activity: Active user-days, one row for each account, one column for each day.
            first_day: The day of the first column, days since 1970 UTC.
            least_base: Active user-days a week below which a week is not valid.
            lost: The day on which accounts were lost, by row; None: it is told from their use.
        """
        self.activity = activity
        self.accounts, self.days = activity.shape
        self.first_day = first_day
        self.least_base = least_base
        self.sums = np.zeros((self.accounts, self.days + 1), np.int64)
        np.cumsum(activity, axis=1, dtype=np.int64, out=self.sums[:, 1:])
        active = activity > 0
        self.first = np.where(active.any(axis=1), active.argmax(axis=1), self.days)
        places = np.where(active, np.arange(self.days), -1)
        self.latest = np.maximum.accumulate(places, axis=1) if self.days else places
        """The column of the latest active day up to each column; -1: none."""
        self._lost = None
        if lost is not None:
            self._lost = np.full(self.accounts, np.iinfo(np.int64).max)
            for row, day in lost.items():
                self._lost[row] = day - first_day

    def sum(self, account: Ints, column: Ints, days: int) -> Ints:
        """Return the user-days of so many days that end with a column."""
        return self.between(account, column - days + 1, column + 1)

    def between(self, account: Ints, start: Ints, end: Ints) -> Ints:
        """Return the user-days from one column up to another, which is not counted."""
        return self.sums[account, np.clip(end, 0, self.days)] - self.sums[account, np.clip(start, 0, self.days)]

    def points(self, account: Ints, column: Ints) -> Points:
        """Say of weeks that end with a column whether they are valid, what their base is, and whether a loss follows."""
        return self._points(account, column, column)

    def calls(self, account: Ints, column: Ints) -> Points:
        """Say the same of calls: they are on the list in the morning of the next day, from which a known loss is counted."""
        return self._points(account, column, column + 1)

    def _points(self, account: Ints, column: Ints, said: Ints) -> Points:
        age = column - self.first[account] + 1
        weeks = np.clip(age // WEEK, 1, BASE_WEEKS)
        base = self.between(account, column - weeks * WEEK + 1, column + 1) / weeks
        silent = column - self.latest[account, column]
        valid = (age >= FEWEST_WEEKS * WEEK) & (base >= self.least_base) & (silent <= MOST_SILENT_WEEKS * WEEK)
        valid &= column + LATER_DAYS < self.days
        if self._lost is None:
            later = self.between(account, column + 1, column + 1 + LATER_DAYS) / LATER_WEEKS
            loss = later <= LOST_BELOW * base
        else:
            left = self._lost[account] - said
            valid &= left > 0
            loss = left <= LATER_DAYS
        return Points(account, column, valid, base, loss, self.holiday(column))

    def finding(self, losses: Points) -> tuple[Ints, Ints]:
        """
        Return the first and the last column of an onset that finds a loss, of those that start with some weeks.

        Where the day of a loss is known it counts from that, not from the week with which the loss starts: an account that
        was young or little used can be measured from days before its loss on only. An onset of a column is on the list in
        the morning of the next day.
        """
        if self._lost is None:
            return losses.column - BEFORE_DAYS, losses.column + AFTER_DAYS
        lost = self._lost[losses.account]
        return lost - BEFORE_LOST_DAYS - 1, lost - 2

    def lost(self, points: Points) -> Bools:
        """Say of calls which were on the list on the day of a known loss or later."""
        if self._lost is None:
            return np.zeros(len(points), np.bool_)
        return np.asarray(self._lost[points.account] <= points.column + 1)

    def weeks(self) -> Points:
        """Return all valid account-weeks; weeks end on Sundays."""
        first = (_SUNDAY - self.first_day) % WEEK
        columns = np.arange(first, self.days, WEEK)
        account = np.repeat(np.arange(self.accounts), columns.size)
        found = self.points(account, np.tile(columns, self.accounts))
        return found.only(found.valid)

    def starts(self, weeks: Points) -> Points:
        """Return the weeks in which a loss starts; where its day is known, all weeks before it are of one loss."""
        return starts_of(weeks, APART_DAYS if self._lost is None else LATER_DAYS)

    @cached_property
    def watched(self) -> Bools:
        """Say of which days there was anybody to call: an account that is old enough, and not silent for over 8 weeks."""
        columns = np.arange(self.days)
        old: Bools = columns - self.first[:, None] + 1 >= FEWEST_WEEKS * WEEK
        return np.asarray((old & (columns - self.latest <= MOST_SILENT_WEEKS * WEEK)).any(axis=0))

    def before_rules(self, points: Points) -> Bools:
        """Say of which days the account was too young for Tidemark's usage rules."""
        young: Bools = points.column - self.first[points.account] + 1 < RULES_FROM_WEEKS * WEEK
        return young

    def holiday(self, column: Ints) -> Bools:
        """Say which columns lie in the holidays around the turn of the year."""
        dates = (column + self.first_day).astype("datetime64[D]")
        months = dates.astype("datetime64[M]")
        month = months.astype(np.int64) % 12 + 1
        day = (dates - months).astype(np.int64) + 1
        (first_month, first), (last_month, last) = HOLIDAYS
        within: Bools = ((month == first_month) & (day >= first)) | ((month == last_month) & (day <= last))
        return within


def starts_of(weeks: Points, apart: int = APART_DAYS) -> Points:
    """Return the weeks in which a loss starts: no week of the account was one in so many days before."""
    losses = weeks.only(weeks.loss)
    if not len(losses):
        return losses
    order = np.lexsort((losses.column, losses.account))
    account, column = losses.account[order], losses.column[order]
    again = (account[1:] == account[:-1]) & (column[1:] - column[:-1] <= apart)
    start = np.concatenate(([True], ~again))
    which = np.zeros(len(losses), np.bool_)
    which[order[start]] = True
    return losses.only(which)
