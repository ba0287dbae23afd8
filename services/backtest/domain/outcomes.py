"""
What an alarm would have meant for the accounts that were lost: who would have been called, how early, and how often in vain.

A lost account was *flagged* if the alarm was on at any time in the 12 weeks before the day of the loss. A call (an onset,
see alarms.py) is *in vain* if the account was not lost within 12 weeks after it. Both count from the morning on which the
alarm is on the list: a call 84 days before the loss is the earliest that flags it, and it is not in vain. Calls in the last
12 weeks of the history are not counted, since nobody knows yet; nor are those of the day of the loss or later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.backtest.domain.alarms import Alarms
from services.backtest.domain.grid import FEWEST_WEEKS, LATER_DAYS, WEEK, Grid, Ints
from services.backtest.domain.history import NO_DAY, AccountOutcome

_FIRST = FEWEST_WEEKS * WEEK
"""The first column whose calls are counted."""


@dataclass(frozen=True)
class Lost:
    """The accounts of a list of losses that can be judged, and why the others cannot."""

    columns: Mapping[int, int]
    """The day of the loss, by row of the activity: a column."""
    too_early: Mapping[int, int]
    """
    The same of losses too early to be judged: of such an account nothing counts, least of all what comes after its loss. One of
    which nobody can tell the day is taken to be before everything: a call of it is neither right nor in vain.
    """
    left_out: list[tuple[str, str]]
    """Account, and why: `no_events`, `before`, `never_active`, `twice`, `after_end`, `too_early` or `no_day`."""

    @property
    def every(self) -> Mapping[int, int]:
        """The day of every loss within the history, by row: a column."""
        return {**self.too_early, **self.columns}


@dataclass(frozen=True)
class Calls:
    """What one alarm would have meant."""

    name: str
    lost: int
    flagged: int
    lead_days: float
    """Median days from when the alarm came to the loss, of those flagged; not a number: none was."""
    calls: int
    in_vain: int
    weeks: float
    """Weeks over which calls were counted; those in which there was nobody to call are none."""
    accounts: tuple[tuple[str, int, int | None], ...]
    """Each lost account, the day of its loss (days since 1970 UTC), and how many days before it was flagged; None: it was not."""

    @property
    def leads(self) -> list[int]:
        """Days of each account that was flagged, the shortest first."""
        return sorted(lead for _, _, lead in self.accounts if lead is not None)

    @property
    def in_vain_a_week(self) -> float:
        """Calls in vain a week, over all accounts."""
        return self.in_vain / self.weeks if self.weeks else float("nan")


def lost_of(outcomes: Sequence[AccountOutcome], accounts: Sequence[str], grid: Grid) -> Lost:
    """Place losses on the grid. Of several of one account the first counts."""
    rows = {account: row for row, account in enumerate(accounts)}
    columns: dict[int, int] = {}
    too_early: dict[int, int] = {}
    left_out: list[tuple[str, str]] = []
    for outcome in sorted(outcomes, key=lambda each: (each.day, each.account)):
        row = rows.get(outcome.account)
        column = outcome.day - grid.first_day
        if row is None:
            left_out.append((outcome.account, "no_events" if column > 0 or outcome.day == NO_DAY else "before"))
            continue
        if row in columns:
            left_out.append((outcome.account, "twice"))
            continue
        if outcome.day == NO_DAY:
            left_out.append((outcome.account, "no_day"))
            too_early.setdefault(row, 0)
            continue
        first = int(grid.first[row])
        if column > grid.days:
            left_out.append((outcome.account, "after_end"))
        elif first >= grid.days or column - first < FEWEST_WEEKS * WEEK:
            why = "never_active" if first >= grid.days else "too_early" if column > first else "before"
            left_out.append((outcome.account, why))
            too_early.setdefault(row, column)
        else:
            columns[row] = column
    return Lost(columns, too_early, left_out)


def count_calls(alarms: Alarms, lost: Lost, grid: Grid) -> int:
    """Return how many calls an alarm has, as `measure_calls` counts them."""
    return int(_days_to_loss(alarms, lost, grid).size)


def measure_calls(name: str, alarms: Alarms, lost: Lost, accounts: Sequence[str], grid: Grid) -> Calls:
    """Say what an alarm would have meant for the accounts that were lost, and for the others."""
    each: list[tuple[str, int, int | None]] = []
    for row, column in lost.columns.items():
        stretches = alarms.account == row
        # an alarm of column c is on the list in the morning of the next day
        start, end = alarms.start[stretches] + 1, alarms.end[stretches] + 1
        on = (start < column) & (end > column - LATER_DAYS)
        lead = int(column - start[on].min()) if on.any() else None
        each.append((accounts[row], column + grid.first_day, lead))
    leads = [lead for _, _, lead in each if lead is not None]
    to_loss = _days_to_loss(alarms, lost, grid)
    return Calls(
        name=name,
        lost=len(lost.columns),
        flagged=len(leads),
        lead_days=float(np.median(leads)) if leads else float("nan"),
        calls=to_loss.size,
        in_vain=int((to_loss > LATER_DAYS).sum()),
        weeks=float(grid.watched[_FIRST : max(0, grid.days - LATER_DAYS)].sum() / WEEK),
        accounts=tuple(sorted(each, key=lambda one: (one[1], one[0]))),
    )


def _days_to_loss(alarms: Alarms, lost: Lost, grid: Grid) -> Ints:
    """Return of each call that counts how many days later its account was lost; of one that was not, very many."""
    account, column = alarms.onsets()
    called = column + 1  # in the morning of the next day
    loss = np.full(grid.accounts, np.iinfo(np.int64).max)
    for row, day in lost.every.items():
        loss[row] = day
    counted = (column >= _FIRST) & (column < grid.days - LATER_DAYS) & (called < loss[account])
    days: Ints = loss[account[counted]] - called[counted]
    return days
