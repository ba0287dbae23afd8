"""
How well a score ranks: AUC, average precision, precision at the top.

Equal scores count as if drawn by lot; average precision takes them in all at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.backtest.domain.grid import Bools, Floats, Ints, Points
from services.backtest.domain.resampling import Interval, Resampling

TOP_SHARE = 0.05
TOP_A_WEEK = 10
_PARTS = 10


@dataclass(frozen=True)
class RankingFigures:
    """How well one score ranks account-weeks."""

    name: str
    auc: Interval
    average_precision: Interval
    top_share: float
    """Precision of the 5 % most at risk."""
    top_a_week: float
    """Precision of the 10 most at risk of each week."""


class _Groups:
    """Rows by score, the highest first, equal scores together."""

    def __init__(self, risk: Floats, loss: Bools) -> None:
        self.values, place = np.unique(-risk, return_inverse=True)
        self.place: Ints = place.reshape(-1)
        self.loss = loss

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the weights of losses and of others in each group."""
        size = self.values.size
        lost: Floats = np.bincount(self.place[self.loss], weights[self.loss], size).astype(np.float64)
        kept: Floats = np.bincount(self.place[~self.loss], weights[~self.loss], size).astype(np.float64)
        return lost, kept


def auc(lost: Floats, kept: Floats) -> float:
    """Return the chance that a loss ranks above another, from the weights of both in groups of falling risk."""
    pairs = lost.sum() * kept.sum()
    below = kept.sum() - np.cumsum(kept)
    return float((lost * (below + kept / 2)).sum() / pairs) if pairs else float("nan")


def average_precision(lost: Floats, kept: Floats) -> float:
    """Return the mean precision over the losses, each at the threshold that just takes its group in."""
    losses = lost.sum()
    taken = np.cumsum(lost + kept)
    if not losses:
        return float("nan")
    with np.errstate(invalid="ignore"):
        precision = np.where(taken > 0, np.cumsum(lost) / taken, 0.0)
    return float((precision * lost).sum() / losses)


def measure_ranking(name: str, risk: Floats, weeks: Points, resampling: Resampling) -> RankingFigures:
    """Measure a score of account-weeks; higher is more at risk."""
    groups = _Groups(risk, weeks.loss)
    # draw by draw: the counts of all would take gigabytes where there are a million different scores
    drawn = (groups.counts(weights[weeks.account].astype(np.float64)) for weights in resampling.weights)
    figures = np.array([(auc(*each), average_precision(*each)) for each in drawn])
    return RankingFigures(
        name,
        Interval.around(figures[:, 0]),
        Interval.around(figures[:, 1]),
        precision_at(*groups.counts(np.ones(len(weeks))), TOP_SHARE * len(weeks)),
        _top_a_week(risk, weeks),
    )


def precision_at(lost: Floats, kept: Floats, top: float) -> float:
    """Return the precision of the so many first; of the group in which they end, a share."""
    sizes = lost + kept
    before = np.cumsum(sizes) - sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(sizes > 0, np.clip((top - before) / sizes, 0, 1), 0)
    taken = (share * sizes).sum()
    return float((share * lost).sum() / taken) if taken else float("nan")


def _top_a_week(risk: Floats, weeks: Points) -> float:
    right = taken = 0.0
    for column in np.unique(weeks.column):
        which = weeks.column == column
        groups = _Groups(risk[which], weeks.loss[which])
        lost, kept = groups.counts(np.ones(int(which.sum())))
        top = min(TOP_A_WEEK, which.sum())
        right += precision_at(lost, kept, float(top)) * top
        taken += top
    return right / taken if taken else float("nan")


@dataclass(frozen=True)
class Decile:
    """One tenth of the account-weeks, by health score."""

    lowest: float
    highest: float
    """Of the score, points."""
    weeks: int
    losses: float
    """The share after which a loss followed."""


def deciles(score: Floats, loss: Bools) -> list[Decile]:
    """
    Return ten parts of equal size, those with the lowest scores first; equal scores are divided as if by lot.

    Of fewer than ten scores each is a part: a tenth of them would be nothing.
    """
    if not score.size:
        return []
    groups = _Groups(-score, loss)
    lost, kept = groups.counts(np.ones(score.size))
    sizes = lost + kept
    before = np.cumsum(sizes) - sizes
    found = []
    parts = min(_PARTS, score.size)
    for place in range(parts):
        low, high = score.size * place / parts, score.size * (place + 1) / parts
        taken = np.clip(np.minimum(before + sizes, high) - np.maximum(before, low), 0, None)
        scores = groups.values[taken > 0]
        share = float((taken / sizes * lost).sum() / taken.sum())
        found.append(Decile(float(scores[0]), float(scores[-1]), round(float(taken.sum())), share))
    return found
