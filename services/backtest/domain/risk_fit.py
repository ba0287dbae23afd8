"""
Fit the hazard of a risk on what became of one's own accounts, and say whether it stands.

Three forms are tried: the shipped coefficients at another level (`level`), stretched as a whole too (`stretch`), and, where
there are 10 losses for each of them, coefficients of its own (`coefficients`). The one with the lowest log loss where it was
not fitted is taken, on other accounts and in a later time together. It stands only where it forecasts better than the shipped
coefficients and than the rate of losses alone, in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from services.backtest.domain.forecasts import (
    RATE,
    SHIPPED,
    Fitting,
    LossSample,
    SplitFigures,
    by_accounts,
    by_time,
    forecast,
    judge,
    losses_in,
)
from services.backtest.domain.grid import Bools, Floats
from services.backtest.domain.hazard import NO_DEVIATION, PRIOR_DEVIATION, Hazard, chances, fit
from services.backtest.domain.resampling import Interval

FEWEST_LOSSES = 20
"""10 for each of the two numbers of a level and a stretch; a fit on fewer follows chance."""
LOSSES_EACH = 10
"""For each coefficient that is fitted by itself."""
FEWEST_ACCOUNTS = 10
"""With a loss."""
FEWEST_OF_A_TIME = 5
"""Losses in the earlier and in the later time."""
WORSE_RANK = 0.01
"""AUC that a fit may lose: less is chance."""
CALIBRATED = 2.0
"""In the later time, losses may be so many times those that were forecast, or the other way round."""
GROUPS = 10
LEVEL, STRETCH, COEFFICIENTS = "level", "stretch", "coefficients"
_SURE = 1.96


class TooFewLossesError(ValueError):
    """Nothing can be fitted: says how many losses there are, and how many are needed."""

    def __init__(self, lacking: str, **counts: int) -> None:
        """
        Say what there is too little of.

        Args:
            lacking: `losses`, `accounts` with a loss, `time` between the losses, or accounts that `stayed`.
            counts: What there is, and what is needed.
        """
        super().__init__(f"too few losses: {lacking}, {counts}")
        self.lacking = lacking
        self.counts = counts


class Objection(NamedTuple):
    """What speaks against a fit."""

    kind: str
    """
    `accounts_rate` and `accounts_shipped`: on other accounts it does not surely forecast better than that; `accounts_rank`:
    there it ranks worse than the shipped coefficients; `time_rate` and `time_shipped`: in a later time it forecasts no better
    than that; `time_calibration`: there it forecasts far more or fewer losses than came.
    """
    ours: float
    """Its log loss, AUC or forecast."""
    other: float
    """What that is compared with."""
    gain: Interval | None = None


@dataclass(frozen=True)
class CalibrationGroup:
    """Account-weeks for which about the same chance was forecast; none of them was fitted on."""

    forecast: float
    observed: float
    weeks: int
    loss_weeks: int


@dataclass(frozen=True)
class RiskFitFigures:
    """A fit, how it did, and what speaks against it."""

    form: str
    """`level`, `stretch` or `coefficients`."""
    hazard: Hazard
    """Fitted on everything."""
    losses: int
    weeks: int
    accounts: int
    rate: float
    """The share of account-weeks after which a loss follows."""
    other_accounts: SplitFigures
    later_time: SplitFigures
    calibration: list[CalibrationGroup]
    against: list[Objection]
    """Why it does not stand; empty: it does."""
    more: int | None
    """How many more losses would probably show that it is better; None: it is, or nothing says that more would show it."""


def fit_risk(sample: LossSample, shipped: Hazard, *, draws: int = 200) -> RiskFitFigures:
    """
    Fit a hazard and judge it.

    Args:
        sample: Account-weeks.
        shipped: The coefficients that come with Tidemark, for the same columns.
        draws: How often accounts are drawn for the intervals of ranks.

    Raises:
        TooFewLossesError: there is too little to fit or to judge.
    """
    _require_losses(sample)
    weeks = sample.weeks
    forms: dict[str, Fitting] = {
        LEVEL: lambda columns, loss: _stretch(columns, loss, shipped, NO_DEVIATION),
        STRETCH: lambda columns, loss: _stretch(columns, loss, shipped, PRIOR_DEVIATION),
    }
    if len(sample.starts) >= LOSSES_EACH * shipped.weights.size:
        forms[COEFFICIENTS] = lambda columns, loss: fit(columns, loss, shipped.weights, scale=sample.scale)
    parts, times = by_accounts(sample), by_time(sample)
    other_accounts = judge("other_accounts", sample, forms, shipped, parts, draws)
    later_time = judge("later_time", sample, forms, shipped, times, draws)
    form = min(forms, key=lambda each: other_accounts.of(each).log_loss + later_time.of(each).log_loss)
    against = objections(other_accounts, later_time, form)
    return RiskFitFigures(
        form=form,
        hazard=forms[form](sample.columns, weeks.loss),
        losses=len(sample.starts),
        weeks=len(weeks),
        accounts=int(np.unique(weeks.account).size),
        rate=float(weeks.loss.mean()),
        other_accounts=other_accounts,
        later_time=later_time,
        calibration=_calibration(chances(forecast(sample, forms[form], parts).log_odds), weeks.loss),
        against=against,
        more=more_losses(other_accounts, form, len(sample.starts)) if against else None,
    )


def _require_losses(sample: LossSample) -> None:
    losses = len(sample.starts)
    if losses < FEWEST_LOSSES:
        raise TooFewLossesError("losses", losses=losses, needed=FEWEST_LOSSES)
    accounts = np.unique(sample.starts.account).size
    if accounts < FEWEST_ACCOUNTS:
        raise TooFewLossesError("accounts", losses=losses, accounts=accounts, needed=FEWEST_ACCOUNTS)
    ((earlier, later),) = losses_in(sample, by_time(sample))
    if min(earlier, later) < FEWEST_OF_A_TIME:
        raise TooFewLossesError("time", losses=losses, earlier=earlier, later=later, needed=FEWEST_OF_A_TIME)
    if any(sample.weeks.loss[fitted].all() for fitted, _ in (*by_accounts(sample), *by_time(sample))):
        raise TooFewLossesError("stayed", losses=losses, needed=losses)


def _stretch(columns: Floats, loss: Bools, shipped: Hazard, deviation: float) -> Hazard:
    """Fit a level, and how much the shipped coefficients are to be stretched."""
    along = (columns @ shipped.weights)[:, None]
    found = fit(along, loss, np.ones(1), deviation)
    return Hazard(found.level, shipped.weights * found.weights[0])


def _calibration(chance: Floats, loss: Bools) -> list[CalibrationGroup]:
    order = np.argsort(chance, kind="stable")
    groups = [group for group in np.array_split(order, GROUPS) if group.size]
    return [
        CalibrationGroup(float(chance[group].mean()), float(loss[group].mean()), group.size, int(loss[group].sum()))
        for group in groups
    ]


def objections(accounts: SplitFigures, time: SplitFigures, form: str) -> list[Objection]:
    """Say in which ways a fit is not better, each with its figures."""
    found = []
    ours, shipped = accounts.of(form), accounts.of(SHIPPED)
    for other, gain in ((RATE, ours.over_rate), (SHIPPED, ours.over_shipped)):
        if not gain.low > 0:
            found.append(Objection(f"accounts_{other}", ours.log_loss, accounts.of(other).log_loss, gain))
    if ours.ranking.auc.value < shipped.ranking.auc.value - WORSE_RANK:
        found.append(Objection("accounts_rank", ours.ranking.auc.value, shipped.ranking.auc.value))
    ours = time.of(form)
    found += [
        Objection(f"time_{other}", ours.log_loss, time.of(other).log_loss)
        for other in (RATE, SHIPPED)
        if ours.log_loss >= time.of(other).log_loss
    ]
    if not 1 / CALIBRATED <= ours.forecast / max(1, time.loss_weeks) <= CALIBRATED:
        found.append(Objection("time_calibration", ours.forecast, time.loss_weeks))
    return found


def more_losses(accounts: SplitFigures, form: str, losses: int) -> int | None:
    """Say how many more losses would make the gains on other accounts sure, if they stay what they are."""
    ours = accounts.of(form)
    needed = losses
    for gain in (ours.over_rate, ours.over_shipped):
        if not gain.value > 0:
            return None
        deviation = (gain.high - gain.low) / (2 * _SURE)
        needed = max(needed, ceil(losses * (_SURE * deviation / gain.value) ** 2))
    return needed - losses or None
