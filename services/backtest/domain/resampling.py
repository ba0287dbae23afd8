"""Intervals by drawing accounts anew, all weeks of an account together: the weeks of one account are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from services.backtest.domain.grid import Bools, Floats, Ints

_LOW, _HIGH = 2.5, 97.5


class Interval(NamedTuple):
    """A figure, and the range in which 95 % of the resampled ones lie. Not a number where it cannot be told."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, over: Floats, under: Floats) -> Interval:
        """Return a ratio from sums as `Resampling.sums` gives them: the real one first, then the resampled ones."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(under > 0, over / under, np.nan)
        return cls.around(ratios)

    @classmethod
    def around(cls, values: Floats) -> Interval:
        """Return the interval of values, the real one first."""
        drawn = values[1:][~np.isnan(values[1:])]
        if np.isnan(values[0]) or not drawn.size:
            return cls(float(values[0]), float("nan"), float("nan"))
        low, high = np.percentile(drawn, (_LOW, _HIGH))
        return cls(float(values[0]), float(low), float(high))


class Resampling:
    """How often each account is drawn: once in the first row, by chance in the others."""

    def __init__(self, accounts: int, draws: int) -> None:
        """Draw so many times, always the same."""
        self.accounts = accounts
        chance = np.random.default_rng(1)
        equal = np.full(max(1, accounts), 1 / max(1, accounts))
        drawn = chance.multinomial(accounts, equal, size=draws)
        self.weights: Ints = np.vstack([np.ones((1, max(1, accounts)), np.int64), drawn])[:, :accounts]

    def sums(self, counts: Sequence[tuple[Ints, Bools | None]]) -> list[Floats]:
        """Count things by their account, those that are marked; return the sum of each under every draw."""
        found: list[Floats] = []
        for account, marked in counts:
            which = account if marked is None else account[marked]
            found.append(np.asarray(self.weights @ np.bincount(which, minlength=self.accounts), np.float64))
        return found
