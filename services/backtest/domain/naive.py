"""The plainest rules, which anybody could write in a spreadsheet. Tidemark has to be better than these."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from services.backtest.domain.alarms import Alarms, alarms_of_days
from services.backtest.domain.grid import BASE_WEEKS, FEWEST_WEEKS, WEEK, Bools, Floats, Grid, Points

_SMOOTH = 0.5
_SILENT_DAYS = range(7, 8 * WEEK + 1)
"""Those that `silent_as_often` tries."""


def scores(grid: Grid, weeks: Points) -> dict[str, Floats]:
    """Return the scores of account-weeks by name; higher is more at risk."""
    account, column = weeks.account, weeks.column
    silent = (column - grid.latest[account, column]).astype(np.float64)

    def fall(days: int, before: int) -> Floats:
        """Return how far the last days fell against the mean of those before on which there was an account at all."""
        now = grid.sum(account, column, days)
        length = np.clip(column - days - grid.first[account] + 1, 1, before)
        then = grid.sum(account, column - days, before) * days / length
        return np.asarray(-(now + _SMOOTH) / (then + _SMOOTH), np.float64)

    return {
        "days_silent": silent,
        "weeks_silent": np.floor(silent / WEEK),
        "30_days": fall(30, 30),
        "7_days": fall(7, 7),
        "4_weeks": fall(4 * WEEK, BASE_WEEKS * WEEK),
    }


class NaiveAlarms:
    """Alarms of the plainest rules."""

    def __init__(self, grid: Grid) -> None:
        """Work on the activity of a grid."""
        self._grid = grid
        columns = np.arange(grid.days)
        self._silent = columns - grid.latest
        self._old_enough: Bools = columns - grid.first[:, None] + 1 >= FEWEST_WEEKS * WEEK

    def all(self) -> dict[str, Alarms]:
        """Return those with fixed thresholds, by name."""
        return {
            "silent_weeks.3": self.silent(21),
            "silent_weeks.4": self.silent(28),
            "falls_7_days": self.falls(7, 0.5),
            "falls_30_days": self.falls(30, 0.8),
            "level_4_weeks": self.level(0.2, 0.4),
        }

    def silent(self, days: int) -> Alarms:
        """Raise one while nobody has been active for so many days."""
        return alarms_of_days((self._silent >= days) & self._old_enough)

    def falls(self, days: int, below: float) -> Alarms:
        """Raise one while so many days come to less than this share of the same number of days before."""
        now = self._ending(days)
        before = np.zeros_like(now)
        before[:, days:] = now[:, :-days]
        return alarms_of_days((now < below * before) & self._old_enough)

    def level(self, below: float, above: float) -> Alarms:
        """Raise one once four weeks are below a share of the weekly mean of the 30 before; until they are above another."""
        days, span = 4 * WEEK, BASE_WEEKS * WEEK
        now = self._ending(days)
        then = np.zeros_like(now, dtype=np.float64)
        length = np.clip(np.arange(self._grid.days) - days - self._grid.first[:, None] + 1, 1, span)
        then[:, days:] = self._ending(span)[:, :-days]
        usual = then * days / length
        falls, clears = (now < below * usual) & self._old_enough, now >= above * usual
        return alarms_of_days(_latched(falls, clears))

    def silent_as_often(self, other: Alarms, count: Callable[[Alarms], int] | None = None) -> tuple[int, Alarms]:
        """
        Return the days of silence whose alarm has about as many calls as another, and that alarm.

        Args:
            other: The other alarm.
            count: Says how many calls an alarm has; by default its onsets in valid weeks.
        """
        count = count or self._valid_onsets
        wanted = count(other)
        tried = {days: self.silent(days) for days in _SILENT_DAYS}
        days = min(tried, key=lambda days: abs(count(tried[days]) - wanted))
        return days, tried[days]

    def _valid_onsets(self, alarms: Alarms) -> int:
        return int(self._grid.calls(*alarms.onsets()).valid.sum())

    def _ending(self, days: int) -> Floats:
        """Return the sum of user-days over the days that end with each column; the first columns have fewer days."""
        sums = self._grid.sums
        found = sums[:, 1:].astype(np.float64)
        found[:, days:] -= sums[:, 1:-days]
        return found


def _latched(sets: Bools, clears: Bools) -> Bools:
    """Return the days from one that sets something until the next that clears it."""
    columns = np.arange(sets.shape[1])
    last_set = np.maximum.accumulate(np.where(sets, columns, -1), axis=1)
    last_clear = np.maximum.accumulate(np.where(clears & ~sets, columns, -1), axis=1)
    return last_set > last_clear
