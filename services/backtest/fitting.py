"""From a driven history to a fit of the risk: on losses that are told from use, or on a list of those that were lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from services.backtest.domain.figures import latest_at
from services.backtest.domain.forecasts import LossSample
from services.backtest.domain.grid import LATER_DAYS, Floats, Grid, Points
from services.backtest.domain.hazard import Hazard
from services.backtest.domain.outcomes import lost_of
from services.backtest.domain.risk_fit import RiskFitFigures, fit_risk
from services.backtest.driving import Driven
from services.backtest.driving.snapshots import values_of
from services.scorer.domain.health.risk import Predicts, RiskModel, RiskTerm

USUAL_WEEK, SILENT_DAYS = "usual_week", "silent_days"
_LEAST_BASE = 0.1
"""User-days a week below which a fall cannot be told; which accounts are fitted on is decided by their usual week."""


@dataclass(frozen=True)
class RiskFitted:
    """A fit of one history."""

    history: str
    first_day: int
    last_day: int
    """Of the account-weeks, days since 1970 UTC."""
    predicts: Predicts
    least_usual_week: float
    figures: RiskFitFigures
    terms: dict[str, RiskTerm]
    usual: float
    """The log-odds of a usual account."""
    longest_silence: int
    """Days; accounts that were silent for longer were left out."""


def fit_history(
    driven: Driven, shipped: RiskModel, predicts: Predicts, *, least_usual_week: float = 1.0, draws: int = 200
) -> RiskFitted:
    """
    Fit the risk on a driven history.

    Args:
        driven: The history; for `loss` it has a list of lost accounts.
        shipped: The hazard whose coefficients are fitted, and which is to be beaten.
        predicts: `loss`: by the list; `collapse`: by use alone.
        least_usual_week: Active user-days in a usual week below which accounts are left out.
        draws: How often accounts are drawn for the intervals of ranks.

    Raises:
        TooFewLossesError: there is too little to fit or to judge.
    """
    sample = _sample(driven, shipped, predicts, least_usual_week)
    known = Hazard(shipped.usual, np.array([term.weight for term in shipped.terms.values()]))
    figures = fit_risk(sample, known, draws=draws)
    weights = zip(shipped.terms.items(), figures.hazard.weights, strict=True)
    days = sample.weeks.column + driven.span.first_day
    return RiskFitted(
        history=driven.name,
        first_day=int(days.min()),
        last_day=int(days.max()),
        predicts=predicts,
        least_usual_week=least_usual_week,
        figures=figures,
        terms={name: msgspec.structs.replace(term, weight=float(weight)) for (name, term), weight in weights},
        usual=figures.hazard.level,
        longest_silence=shipped.longest_silence,
    )


def _sample(driven: Driven, shipped: RiskModel, predicts: Predicts, least_usual_week: float) -> LossSample:
    grid, weeks = _weeks(driven, predicts)
    snapshot = latest_at(driven.scores.account, driven.scores.at, grid, weeks)
    fading = [term.fades.measure for term in shipped.terms.values() if term.fades is not None]
    names = list(dict.fromkeys([*shipped.terms, USUAL_WEEK, SILENT_DAYS, *fading]))
    values = values_of(driven.snapshots, driven.accounts, names)
    found = np.full((len(weeks), len(names)), np.nan)
    found[snapshot >= 0] = values[snapshot[snapshot >= 0]]
    by_name = dict(zip(names, found.T, strict=True))
    usual_week, silent = by_name[USUAL_WEEK], by_name[SILENT_DAYS]
    whole = _whole(by_name, shipped)
    columns = whole * _shares(by_name, shipped)
    known = ~np.isnan(columns).any(axis=1) & (usual_week >= least_usual_week) & (silent <= shipped.longest_silence)
    taken = weeks.only(known)
    scale = whole[known].std(axis=0) if known.any() else np.ones(whole.shape[1])
    return LossSample(columns[known], scale, taken, grid.starts(taken), grid.accounts)


def _weeks(driven: Driven, predicts: Predicts) -> tuple[Grid, Points]:
    """Return the account-weeks; with a list, those whose 12 weeks lie between the first and the last loss on it."""
    grid = Grid(driven.activity, driven.span.first_day, least_base=_LEAST_BASE)
    if predicts == "collapse":
        return grid, grid.weeks()
    listed = [outcome for outcome in driven.outcomes if outcome.kind == "lost"]
    lost = lost_of(listed, driven.accounts, grid)
    columns, days = lost.columns, {row: column + grid.first_day for row, column in lost.every.items()}
    grid = Grid(driven.activity, driven.span.first_day, least_base=_LEAST_BASE, lost=days)
    weeks = grid.weeks()
    first, last = min(columns.values(), default=0), max(columns.values(), default=-1)
    # before and after, nobody knows whether the list has everybody who was lost
    return grid, weeks.only((weeks.column >= first) & (weeks.column + LATER_DAYS <= last))


def _whole(values: Mapping[str, Floats], model: RiskModel) -> Floats:
    """Return a column for each term of the hazard: as `RiskTerm.log_odds`, for a weight of 1."""
    columns = []
    for name, term in model.terms.items():
        most = np.inf if term.most is None else term.most
        taken, usual = np.clip(values[name], 0.0, most), min(term.usual, most)
        columns.append(np.log1p(taken) - np.log1p(usual) if term.form == "log" else taken - usual)
    return np.column_stack(columns)


def _shares(values: Mapping[str, Floats], model: RiskModel) -> Floats:
    """Return how much of each term counts: as `Fading.share`."""
    columns = [np.ones_like(values[name]) for name in model.terms]
    for column, term in zip(columns, model.terms.values(), strict=True):
        if term.fades is not None:
            share = (term.fades.none - values[term.fades.measure]) / (term.fades.none - term.fades.whole)
            column[:] = np.nan_to_num(np.clip(share, 0.0, 1.0), nan=0.0)
    return np.column_stack(columns)
