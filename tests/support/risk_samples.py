"""Made-up account-weeks whose losses come of three measures, to fit a hazard on."""

from __future__ import annotations

import numpy as np

from services.backtest.domain.forecasts import LossSample
from services.backtest.domain.grid import LATER_DAYS, WEEK, Floats, Points, starts_of
from services.backtest.domain.hazard import Hazard, chances

WEIGHTS = np.array([1.2, -0.9, 0.6])
WEEKS, LATER = 90, LATER_DAYS // WEEK


def sample(accounts: int = 400, weights: Floats = WEIGHTS, level: float = -6.0, seed: int = 3) -> LossSample:
    """Return accounts that are lost week by week with a chance that comes of three measures, which move slowly."""
    chance = np.random.default_rng(seed)
    steady = chance.normal(size=(accounts, 1, 3))
    columns = steady + np.cumsum(chance.normal(size=(accounts, WEEKS + LATER, 3)), axis=1) * 0.1
    lost = chance.random((accounts, WEEKS + LATER)) < chances(level + columns @ weights)
    end = np.where(lost.any(axis=1), lost.argmax(axis=1), WEEKS + LATER)
    account, week = np.divmod(np.arange(accounts * WEEKS), WEEKS)
    there = week < end[account]
    account, week = account[there], week[there]
    loss = end[account] <= np.minimum(week + LATER, WEEKS + LATER - 1)
    nothing = np.zeros(account.size)
    weeks = Points(account, week * WEEK + 6, loss | True, nothing, loss, nothing > 0)
    return LossSample(columns[account, week], columns[account, week].std(axis=0), weeks, starts_of(weeks), accounts)


def shipped(weights: Floats, level: float = -1.0) -> Hazard:
    """Return coefficients as they may come with a release."""
    return Hazard(level, weights)
