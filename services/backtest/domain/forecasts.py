"""
How good forecasts of a loss are for account-weeks that they were not fitted on.

Accounts are divided into five parts, each of which is forecast from the other four; and the later time is forecast from
the earlier. Between the two times lie 12 weeks that belong to neither, since what followed there was not known yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from services.backtest.domain.grid import LATER_DAYS, Bools, Floats, Ints, Points
from services.backtest.domain.hazard import Hazard, chances, log_losses
from services.backtest.domain.ranking import RankingFigures, measure_ranking
from services.backtest.domain.resampling import Interval, Resampling

PARTS = 5
SHIPPED, RATE = "shipped", "rate"
"""Forecasts of the coefficients that come with Tidemark, and of the rate of losses alone."""
_INTERVAL_DRAWS = 400

Fitting = Callable[[Floats, Bools], Hazard]
Split = Sequence[tuple[Bools, Bools]]
"""Pairs of account-weeks: those that are fitted on, and those that are forecast then."""


@dataclass(frozen=True)
class LossSample:
    """Account-weeks with what was known of them, and what followed."""

    columns: Floats
    """A row for each week, a column for each measure of the hazard."""
    scale: Floats
    """The standard deviation of each measure, before it fades for some accounts."""
    weeks: Points
    starts: Points
    """One week for each loss: the first that it follows on."""
    accounts: int
    """Of the grid."""


@dataclass(frozen=True)
class ForecastFigures:
    """How good one forecast was."""

    name: str
    log_loss: float
    over_rate: Interval
    """By how much its log loss is lower than that of the rate of losses alone."""
    over_shipped: Interval
    """By how much it is lower than that of the shipped coefficients."""
    ranking: RankingFigures
    forecast: float
    """The weeks with a loss that it forecast."""


@dataclass(frozen=True)
class SplitFigures:
    """How good all forecasts were."""

    name: str
    weeks: int
    losses: int
    """That start among these weeks."""
    loss_weeks: int
    forecasts: list[ForecastFigures]

    def of(self, name: str) -> ForecastFigures:
        """Return one of them."""
        return next(each for each in self.forecasts if each.name == name)


def by_accounts(sample: LossSample) -> Split:
    """Divide the accounts into parts, always the same; each has as many with a loss."""
    chance = np.random.default_rng(1)
    part = np.zeros(sample.accounts, np.int64)
    lost = np.unique(sample.weeks.account[sample.weeks.loss])
    others = np.setdiff1d(np.unique(sample.weeks.account), lost)
    for accounts in (lost, others):
        part[chance.permutation(accounts)] = np.arange(accounts.size) % PARTS
    of_week = part[sample.weeks.account]
    return [(of_week != each, of_week == each) for each in range(PARTS)]


def by_time(sample: LossSample) -> Split:
    """Divide the time where the one of the two in which fewer losses begin has most of them."""
    column, begun = sample.weeks.column, np.sort(sample.starts.column)
    days = np.unique(column)
    before, after = np.searchsorted(begun, days - LATER_DAYS), begun.size - np.searchsorted(begun, days)
    later = days[np.argmax(np.minimum(before, after))]
    return [(column + LATER_DAYS < later, column >= later)]


def losses_in(sample: LossSample, split: Split) -> list[tuple[int, int]]:
    """Return how many losses start among the weeks that are fitted on, and among those that are forecast."""
    start = np.isin(_key(sample.weeks), _key(sample.starts))
    return [(int((start & fitted).sum()), int((start & forecast).sum())) for fitted, forecast in split]


class Forecast(NamedTuple):
    """What is forecast for each week; not a number for weeks that no part forecasts."""

    log_odds: Floats
    rank: Floats
    """The same with all parts at one level: each part has a fit of its own, and is ranked among all."""


def forecast(sample: LossSample, fitting: Fitting, split: Split) -> Forecast:
    """Forecast each part by what is fitted on the others."""
    found = Forecast(np.full(len(sample.weeks), np.nan), np.full(len(sample.weeks), np.nan))
    for fitted, told in split:
        hazard = fitting(sample.columns[fitted], sample.weeks.loss[fitted])
        weighted = sample.columns @ hazard.weights
        found.log_odds[told] = hazard.level + weighted[told]
        found.rank[told] = weighted[told] - weighted.mean()
    return found


def judge(
    name: str, sample: LossSample, forms: Mapping[str, Fitting], shipped: Hazard, split: Split, draws: int
) -> SplitFigures:
    """Compare the forecasts of some forms of a fit with the shipped coefficients and with the rate alone."""
    every = {
        **{form: forecast(sample, fitting, split) for form, fitting in forms.items()},
        SHIPPED: forecast(sample, lambda *_: shipped, split),
        RATE: forecast(sample, _rate, split),
    }
    told = ~np.isnan(every[RATE].log_odds)
    weeks = sample.weeks.only(told)
    surprise = {each: log_losses(said.log_odds[told], weeks.loss) for each, said in every.items()}
    resampling, gains = Resampling(sample.accounts, draws), Resampling(sample.accounts, _INTERVAL_DRAWS)
    figures = [
        ForecastFigures(
            each,
            float(surprise[each].mean()),
            _mean(surprise[RATE] - surprise[each], weeks.account, gains),
            _mean(surprise[SHIPPED] - surprise[each], weeks.account, gains),
            measure_ranking(each, said.rank[told], weeks, resampling),
            float(chances(said.log_odds[told]).sum()),
        )
        for each, said in every.items()
    ]
    losses = sum(among for _, among in losses_in(sample, split))
    return SplitFigures(name, len(weeks), losses, int(weeks.loss.sum()), figures)


def _rate(columns: Floats, loss: Bools) -> Hazard:
    rate = loss.mean()
    return Hazard(float(np.log(rate / (1 - rate))), np.zeros(columns.shape[1]))


def _mean(values: Floats, account: Ints, resampling: Resampling) -> Interval:
    sums = np.bincount(account, values, resampling.accounts)
    weeks = np.bincount(account, minlength=resampling.accounts).astype(np.float64)
    return Interval.of(np.asarray(resampling.weights @ sums), np.asarray(resampling.weights @ weeks))


def _key(points: Points) -> Ints:
    return points.account * (1 << 24) + points.column
