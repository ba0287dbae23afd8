"""
Alarms: when they start, whether they are right, what they miss, and how restless they are.

An alarm is a stretch of days on which some rule has an account on its list. An *onset* is the first day of one with
none in the 28 days before: one call. It is right if a loss follows (grid.py). A loss is *found* if an onset lies within
4 weeks before and 8 weeks after its start, or, where its day is known, in the 16 weeks before that day; points in between
are not credited (no adjustment of any kind).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from services.backtest.domain.episodes import Episode
from services.backtest.domain.grid import LATER_DAYS, Bools, Floats, Grid, Ints, Points
from services.backtest.domain.resampling import Interval, Resampling
from services.shared.units import DAY_MS

QUIET_DAYS = 28
FLAP_DAYS = 56
PER = 1000


@dataclass(frozen=True)
class Alarms:
    """Stretches of days with an alarm, of one account after the other, none of an account touching the next."""

    account: Ints
    start: Ints
    """Column of the first day: the last closed day when the alarm came."""
    end: Ints
    """Column of the day on which it was gone; the number of days where it never was."""
    recovered: Bools
    """Whether it went because its cause did, not because another signal or time ended it."""

    def onsets(self) -> tuple[Ints, Ints]:
        """Return account and column of each onset."""
        first = np.ones(self.account.size, np.bool_)
        same = self.account[1:] == self.account[:-1]
        first[1:] = ~same | (self.start[1:] - self.end[:-1] >= QUIET_DAYS)
        return self.account[first], self.start[first]


def alarms_of(stretches: Iterable[tuple[int, int, int, bool]]) -> Alarms:
    """Join stretches (account, start, end, recovered) that overlap or touch."""
    joined: list[tuple[int, int, int, bool]] = []
    for account, start, end, recovered in sorted(stretches):
        if joined and joined[-1][0] == account and start <= joined[-1][2]:
            _, first, last, before = joined[-1]
            joined[-1] = (account, first, max(last, end), recovered if end >= last else before)
        else:
            joined.append((account, start, end, recovered))
    columns = np.array(joined, np.int64).reshape(-1, 4).T
    return Alarms(columns[0], columns[1], columns[2], columns[3].astype(np.bool_))


def alarms_of_days(on: Bools) -> Alarms:
    """Return the alarms of a rule that says of each account and day whether it holds."""
    edges = np.diff(on.astype(np.int8), axis=1, prepend=0, append=0)
    account, start = np.nonzero(edges == 1)
    _, end = np.nonzero(edges == -1)
    return Alarms(account, start, end, end < on.shape[1])


def alarms_of_episodes(
    episodes: Sequence[Episode],
    accounts: Sequence[str],
    first_day: int,
    days: int,
    *,
    least: int,
    most: int = 3,
) -> Alarms:
    """
    Return the alarms of episodes while their severity is one of `least` to `most` (1 info, 2 warning, 3 critical).

    An episode that leaves this range upwards ends here, but has not recovered.
    """
    rows = {account: row for row, account in enumerate(accounts)}
    found: list[tuple[int, int, int, bool]] = []
    for episode in episodes:
        start = episode.since(least)
        if start is None:
            continue
        risen = episode.since(most + 1)
        ended = episode.ended_at if risen is None else risen
        if ended is not None and ended <= start:
            continue
        end = days if ended is None else min(days, ended // DAY_MS - 1 - first_day)
        recovered = risen is None and episode.reason == "recovered"
        column = start // DAY_MS - 1 - first_day
        found.append((rows[episode.account], column, max(end, column), recovered))
    return alarms_of(found)


@dataclass(frozen=True)
class AlarmFigures:
    """How one alarm did. Rates are for 1,000 account-weeks, days are days."""

    name: str
    weeks: int
    onsets: Interval
    false: Interval
    precision: Interval
    recall: Interval
    losses: int
    delay: float
    """Median days from the start of a loss to the first onset that finds it; negative: before it."""
    flaps: Interval
    flap_share: float
    """Of alarms that ended, those that came again within 8 weeks; of the last 8 weeks of the history nobody knows."""
    recoveries: int
    false_recoveries: float
    """Of alarms that recovered, the share after which a loss followed."""
    found_or_on: float
    """Of losses, those found, or with the alarm on already when they start: it came more than 4 weeks before."""
    open_share: float
    """Of account-weeks, those that end with the alarm on."""
    count: int
    """Onsets in valid account-weeks."""


def measure_alarms(
    name: str,
    alarms: Alarms,
    grid: Grid,
    weeks: Points,
    resampling: Resampling,
    part: Callable[[Points], Bools] | None = None,
) -> AlarmFigures:
    """
    Measure one alarm.

    Args:
        name: Whose alarm it is.
        alarms: Its stretches.
        grid: The activity.
        weeks: All valid account-weeks.
        resampling: Draws accounts for the intervals.
        part: Says which account-weeks count, where not all do; onsets and losses are taken by the same.
    """
    account, column = alarms.onsets()
    onsets = _within(grid.calls(account, column), part)
    counted = weeks if part is None else weeks.only(part(weeks))
    losses = grid.starts(weeks)
    losses = losses if part is None else losses.only(part(losses))
    delays = _delays(losses, account, column, grid)
    found = ~np.isnan(delays)
    on = _on(alarms, grid)
    ends = grid.calls(alarms.account, np.minimum(alarms.end, grid.days - 1))
    ended = _ended(grid, alarms, part)
    again, watched = _again(alarms), alarms.end + FLAP_DAYS < grid.days
    sums = resampling.sums(
        [
            (counted.account, None),
            (onsets.account, None),
            (onsets.account, ~onsets.loss),
            (onsets.account, onsets.loss),
            (losses.account, None),
            (losses.account, found),
            (alarms.account, ended & again),
        ]
    )
    weeks_, onsets_, false_, true_, losses_, found_, flaps_ = sums
    recovered = ended & alarms.recovered & (alarms.end < grid.days) & _known(grid, ends)
    return AlarmFigures(
        name=name,
        weeks=len(counted),
        onsets=Interval.of(onsets_ * PER, weeks_),
        false=Interval.of(false_ * PER, weeks_),
        precision=Interval.of(true_, onsets_),
        recall=Interval.of(found_, losses_),
        losses=len(losses),
        delay=float(np.median(delays[found])) if found.any() else float("nan"),
        flaps=Interval.of(flaps_ * PER, weeks_),
        flap_share=_share(ended & again & watched, ended & watched),
        recoveries=int(recovered.sum()),
        false_recoveries=_share(recovered & ends.loss, recovered),
        found_or_on=_mean(found | on[losses.account, losses.column]),
        open_share=_mean(on[counted.account, counted.column]),
        count=len(onsets),
    )


def _within(points: Points, part: Callable[[Points], Bools] | None) -> Points:
    found = points.only(points.valid)
    return found if part is None else found.only(part(found))


def _delays(losses: Points, account: Ints, column: Ints, grid: Grid) -> Floats:
    """Return the days from each loss to the first onset that finds it; not a number: none does."""
    delays = np.full(len(losses), np.nan)
    keys = account * _FAR + column  # onsets are sorted by account and column
    first, last = grid.finding(losses)
    row = losses.account * _FAR
    at = np.searchsorted(keys, row + first)
    there = at < keys.size
    onset = keys[at[there]] - row[there]
    delays[there] = np.where(onset <= last[there], onset - losses.column[there], np.nan)
    return delays


_FAR = 1 << 24
"""More than any column."""


def _ended(grid: Grid, alarms: Alarms, part: Callable[[Points], Bools] | None) -> Bools:
    """Say which alarms began in a valid account-week and ended."""
    points = grid.calls(alarms.account, alarms.start)
    began: Bools = points.valid if part is None else points.valid & part(points)
    ended: Bools = began & (alarms.end < grid.days)
    return ended


def _again(alarms: Alarms) -> Bools:
    again = np.zeros(alarms.account.size, np.bool_)
    same = alarms.account[1:] == alarms.account[:-1]
    again[:-1] = same & (alarms.start[1:] - alarms.end[:-1] <= FLAP_DAYS)
    return again


def _known(grid: Grid, points: Points) -> Bools:
    """Say of which days the 12 later weeks are known, the account is not lost yet, and the base is enough to speak of a loss."""
    known: Bools = (points.column + LATER_DAYS < grid.days) & (points.base >= grid.least_base) & ~grid.lost(points)
    return known


def _on(alarms: Alarms, grid: Grid) -> Bools:
    """Say of each account and day whether the alarm is on."""
    steps = np.zeros((grid.accounts, grid.days + 1), np.int8)
    np.add.at(steps, (alarms.account, alarms.start), 1)
    np.add.at(steps, (alarms.account, alarms.end), -1)
    return np.cumsum(steps, axis=1, dtype=np.int8) > 0


def _mean(which: Bools) -> float:
    return float(which.mean()) if which.size else float("nan")


def _share(of: Bools, all_of: Bools) -> float:
    return float(of.sum() / all_of.sum()) if all_of.any() else float("nan")
