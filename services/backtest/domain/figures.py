"""All figures of one driven history: ranking, alarms, rules and calibration, beside the plainest rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.backtest.domain.alarms import AlarmFigures, Alarms, alarms_of_episodes, measure_alarms
from services.backtest.domain.episodes import SEVERITIES, Episode
from services.backtest.domain.grid import Bools, Floats, Grid, Ints, Points
from services.backtest.domain.naive import NaiveAlarms, scores
from services.backtest.domain.ranking import Decile, RankingFigures, deciles, measure_ranking
from services.backtest.domain.resampling import Interval, Resampling
from services.scorer.domain.health.risk import Predicts
from services.shared.units import DAY_MS

_OURS = "tidemark_"
OURS = f"{_OURS}warning_or_above"
RISK, SCORE = f"{_OURS}risk", f"{_OURS}score"
TUNED = "tuned_days.{days}"
"""Silence of so many days, which gives as many calls. What names are called stands in the catalogues."""
SIZES = ((1.0, 3.0), (3.0, 10.0), (10.0, float("inf")))
"""Of accounts, active user-days a week."""


class Said(NamedTuple):
    """What Tidemark said, as the measuring needs it."""

    accounts: Sequence[str]
    episodes: Sequence[Episode]
    score_account: NDArray[np.int32]
    score_at: NDArray[np.int64]
    """Log time of each snapshot, milliseconds."""
    score_tenths: NDArray[np.int16]
    risk: NDArray[np.float64]
    """Log-odds of the hazard that ranks accounts; not a number: not known."""


@dataclass(frozen=True)
class RuleFigures:
    """How often one rule was right, at the moment at which it took a severity."""

    rule: str
    severity: str
    fired: int
    precision: Interval
    lift: float
    """Precision over the base rate; not a number: no loss follows on any week, or there is none."""


@dataclass(frozen=True)
class BacktestFigures:
    """What was measured of one history."""

    name: str
    target: Predicts
    """What counts as a loss: `collapse` or `loss`."""
    least_base: float
    accounts: int
    """Those with any valid account-week."""
    weeks: int
    before_rules: float
    """The share of account-weeks in which the account was too young for Tidemark's usage rules."""
    base_rate: float
    """The share of account-weeks after which a loss follows."""
    losses: int
    ranking: list[RankingFigures]
    """Of account-weeks, Tidemark's first: by risk where it is known of any, then by the health score."""
    alarms: list[AlarmFigures]
    """Overall, Tidemark's first: warning or above, then each severity apart, then the plainest rules."""
    holidays: list[AlarmFigures]
    sizes: dict[tuple[float, float], list[AlarmFigures]]
    """By SIZES."""
    rules: list[RuleFigures]
    calibration: list[Decile]

    @property
    def ours(self) -> AlarmFigures:
        """Tidemark's alarms, warning or above."""
        return self.alarms[0]


def figures(
    name: str,
    said: Said,
    grid: Grid,
    *,
    target: Predicts = "collapse",
    rules: frozenset[str],
    draws: int = 200,
) -> BacktestFigures:
    """
    Measure a history.

    Args:
        name: Of the history.
        said: What Tidemark said of it.
        grid: What happened.
        target: What counts as a loss, see BacktestFigures.
        rules: The rules whose signals count as alarms.
        draws: How often accounts are drawn for the intervals.
    """
    weeks = grid.weeks()
    resampling = Resampling(grid.accounts, draws)
    naive = NaiveAlarms(grid)
    ours = {OURS: our_alarms(said.episodes, said.accounts, grid, rules), **_severities(said, grid, rules)}
    tuned_days, tuned = naive.silent_as_often(ours[OURS])
    plain = {**naive.all(), TUNED.format(days=tuned_days): tuned}
    everything = {**ours, **plain}
    few = {OURS: ours[OURS], **plain}

    def measured(which: dict[str, Alarms], part: Callable[[Points], Bools] | None = None) -> list[AlarmFigures]:
        return [measure_alarms(each, alarms, grid, weeks, resampling, part) for each, alarms in which.items()]

    snapshot = latest_at(said.score_account, said.score_at, grid, weeks)
    score = _of(said.score_tenths / 10, snapshot)
    return BacktestFigures(
        name=name,
        target=target,
        least_base=grid.least_base,
        accounts=int(np.unique(weeks.account).size),
        weeks=len(weeks),
        before_rules=float(grid.before_rules(weeks).mean()) if len(weeks) else float("nan"),
        base_rate=float(weeks.loss.mean()) if len(weeks) else float("nan"),
        losses=measured({OURS: ours[OURS]})[0].losses,
        ranking=_rankings(score, _of(said.risk, snapshot), grid, weeks, resampling),
        alarms=measured(everything),
        holidays=measured(few, lambda points: points.holiday),
        sizes={size: measured(few, partial(_of_size, *size)) for size in SIZES},
        rules=_rules(said, grid, weeks, resampling),
        calibration=deciles(score[~np.isnan(score)], weeks.loss[~np.isnan(score)]),
    )


def is_ours(name: str) -> bool:
    """Return whether an alarm or a score of this name is Tidemark's."""
    return name.startswith(_OURS)


def latest_at(snapshot_account: NDArray[np.int32], snapshot_at: NDArray[np.int64], grid: Grid, points: Points) -> Ints:
    """Return the place of the snapshot that was the latest at the end of days; -1: there was none."""
    account = snapshot_account.astype(np.int64)
    order = np.lexsort((snapshot_at, account))
    day = snapshot_at[order] // DAY_MS - 1 - grid.first_day  # the last closed day when it came
    keys = account[order] * _FAR + np.maximum(day, 0)
    at = np.searchsorted(keys, points.account * _FAR + points.column, side="right") - 1
    found = np.full(len(points), -1, np.int64)
    if order.size:
        there = (at >= 0) & (account[order][np.maximum(at, 0)] == points.account)
        found[there] = order[at[there]]
    return found


def _of(values: NDArray[np.float64], snapshot: Ints) -> Floats:
    """Return the value of each snapshot; not a number: there is none."""
    found = np.full(snapshot.size, np.nan)
    found[snapshot >= 0] = values[snapshot[snapshot >= 0]]
    return found


_FAR = 1 << 24


def our_alarms(episodes: Sequence[Episode], accounts: Sequence[str], grid: Grid, rules: frozenset[str]) -> Alarms:
    """Return Tidemark's alarms: risks of these rules, of severity warning or above."""
    return alarms_of_episodes(_risks(episodes, rules), accounts, grid.first_day, grid.days, least=SEVERITIES["WARNING"])


def _risks(episodes: Sequence[Episode], rules: frozenset[str]) -> list[Episode]:
    return [episode for episode in episodes if episode.category == "RISK" and episode.rule in rules]


def _severities(said: Said, grid: Grid, rules: frozenset[str]) -> dict[str, Alarms]:
    take = partial(alarms_of_episodes, _risks(said.episodes, rules), said.accounts, grid.first_day, grid.days)
    return {
        f"{_OURS}critical": take(least=SEVERITIES["CRITICAL"]),
        f"{_OURS}warning": take(least=SEVERITIES["WARNING"], most=SEVERITIES["WARNING"]),
        f"{_OURS}info": take(least=SEVERITIES["INFO"], most=SEVERITIES["INFO"]),
    }


def _rankings(score: Floats, risk: Floats, grid: Grid, weeks: Points, resampling: Resampling) -> list[RankingFigures]:
    """Measure how well each score ranks; an account of which one is not known comes last in it."""
    if not len(weeks):
        return []
    ours = {SCORE: _unknown_last(-score)}
    if not np.isnan(risk).all():
        ours = {RISK: _unknown_last(risk), **ours}
    every = {**ours, **scores(grid, weeks)}
    return [measure_ranking(name, risk, weeks, resampling) for name, risk in every.items()]


def _unknown_last(risk: Floats) -> Floats:
    least = 0.0 if np.isnan(risk).all() else np.nanmin(risk)
    return np.where(np.isnan(risk), least, risk)


def _rules(said: Said, grid: Grid, weeks: Points, resampling: Resampling) -> list[RuleFigures]:
    """Look at each step of each episode by itself: whether a loss followed."""
    rows = {account: row for row, account in enumerate(said.accounts)}
    steps: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
    for episode in said.episodes:
        for at, severity in episode.steps:
            account, column = steps.setdefault((episode.rule, severity), ([], []))
            account.append(rows[episode.account])
            column.append(max(0, at // DAY_MS - 1 - grid.first_day))
    names = {number: name.lower() for name, number in SEVERITIES.items()}
    rate = float(weeks.loss.mean()) if len(weeks) else float("nan")
    found = []
    for (rule, severity), (rows_, columns) in sorted(steps.items()):
        points = _valid(grid, np.array(rows_, np.int64), np.array(columns, np.int64))
        right, fired = resampling.sums([(points.account, points.loss), (points.account, None)])
        precision = Interval.of(right, fired)
        lift = precision.value / rate if rate else float("nan")
        found.append(RuleFigures(rule, names[severity], len(points), precision, lift))
    return found


def _valid(grid: Grid, account: Ints, column: Ints) -> Points:
    points = grid.calls(account, np.minimum(column, grid.days - 1))
    return points.only(points.valid)


def _of_size(low: float, high: float, points: Points) -> Bools:
    return np.asarray((points.base >= low) & (points.base < high))
