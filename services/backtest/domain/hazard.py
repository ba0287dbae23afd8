"""A logistic hazard, fitted by Newton's method and drawn toward coefficients that are known already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.backtest.domain.grid import LATER_WEEKS, Bools, Floats

PRIOR_DEVIATION = 0.5
NO_DEVIATION = 1e-6
"""The known weights are kept, and the level alone is fitted."""
_STEPS = 60
_SMALL = 1e-9


@dataclass(frozen=True)
class Hazard:
    """The log-odds of a loss: a level, and a weight for each column."""

    level: float
    weights: Floats

    def log_odds(self, columns: Floats) -> Floats:
        """Return the log-odds of rows."""
        return np.asarray(self.level + columns @ self.weights)


def fit(
    columns: Floats, loss: Bools, known: Floats, deviation: float = PRIOR_DEVIATION, scale: Floats | None = None
) -> Hazard:
    """
    Return the most likely coefficients.

    A loss shows in up to 12 weeks of its account, so each week counts as a twelfth of an observation. The level is free;
    each weight has a normal prior around the known one (a ridge), so that few losses change little.

    Args:
        columns: The measures of each account-week, as the hazard takes them.
        loss: Whether a loss followed. Both kinds must be there.
        known: The weights to which the fit is drawn.
        deviation: How far one is expected to be from the known one, for a column in units of its scale.
        scale: Of each column; None: its standard deviation. Give one for a column that is 0 for most accounts: it spreads little,
            and yet the few others do not suffice for a weight of their own.

    Raises:
        ValueError: all weeks are of one kind.
    """
    if loss.all() or not loss.any():
        raise ValueError("a hazard needs weeks with and without a loss")
    mean, spread = columns.mean(axis=0), _positive(columns.std(axis=0))
    scale = spread if scale is None else _positive(scale)
    design = np.column_stack([np.ones(len(columns)), (columns - mean) / spread])
    target = np.concatenate([[0.0], known * spread])
    ridge = np.concatenate([[0.0], LATER_WEEKS * (scale / (deviation * spread)) ** 2])
    found = target.copy()
    found[0] = np.log(loss.mean() / (1 - loss.mean()))
    cost = _cost(design, loss, found, target, ridge)
    for _ in range(_STEPS):
        chance = chances(design @ found)
        slope = design.T @ (chance - loss) + ridge * (found - target)
        curve = (design.T * (chance * (1 - chance))) @ design + np.diag(ridge + _SMALL)
        step = np.linalg.solve(curve, slope)
        while (lower := _cost(design, loss, found - step, target, ridge)) > cost and np.abs(step).max() > _SMALL:
            step = step / 2
        if lower > cost:
            break
        found, cost = found - step, lower
        if np.abs(step).max() < _SMALL:
            break
    weights = found[1:] / spread
    return Hazard(float(found[0] - mean @ weights), weights)


def _positive(deviations: Floats) -> Floats:
    """Return deviations to divide by: what does not vary at all counts as varying by 1."""
    return np.where(deviations > _SMALL, deviations, 1.0)


def chances(log_odds: Floats) -> Floats:
    """Return the chances that belong to log-odds."""
    return np.asarray(np.exp(-np.logaddexp(0, -log_odds)))


def log_losses(log_odds: Floats, loss: Bools) -> Floats:
    """Return the surprise in each row: minus the logarithm of the chance that the forecast gave to what happened."""
    return np.asarray(np.logaddexp(0, np.where(loss, -log_odds, log_odds)))


def _cost(design: Floats, loss: Bools, found: Floats, target: Floats, ridge: Floats) -> float:
    surprise = log_losses(design @ found, loss).sum()
    return float(surprise + (ridge * (found - target) ** 2).sum() / 2)
