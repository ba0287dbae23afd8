"""
The band in which nine of ten ordinary weeks of an account lie.

Snapshots hold a week's count, what was expected, and the chance of so little and of so much. The scorer gets these chances
from a spread (docs/scoring.md, Trend), so the spread can be got back from them, and from it the band.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from services.console.account.past import Day

_NORMAL = NormalDist()
_EDGE = _NORMAL.inv_cdf(0.95)
_POWER = 2 / 3
_SURE, _FAR, _UNCLEAR = 1e-300, 1 - 1e-4, 0.05
"""Chances outside of the first two are too near to 0 or 1 to be turned back; nearer to the middle than the third, too near to it."""
USUAL_ROOT = math.sqrt(1.5)
"""The root of the spread that all accounts have, for weeks whose chances do not tell their own."""


class ExpectedWeek(NamedTuple):
    """What was expected of the week that ends with a day, in active user-days."""

    low: float
    middle: float
    high: float


def expected(day: Day) -> ExpectedWeek | None:
    """Return the band of the week that ends with a day; None where too little was known to expect anything."""
    middle = day.value("expected_1w")
    if middle is None:
        return None
    if middle <= 0:
        return ExpectedWeek(0.0, 0.0, 0.0)
    root = _root_of_spread(day, middle) or USUAL_ROOT
    step = _EDGE * middle ** (1 / 6) * root / 1.5
    centre = middle**_POWER
    return ExpectedWeek(max(0.0, centre - step) ** 1.5, middle, (centre + step) ** 1.5)


def _root_of_spread(day: Day, middle: float) -> float | None:
    count, low, high = day.value("user_days_1w"), day.value("chance_low_1w"), day.value("chance_high_1w")
    if count is None or low is None or high is None:
        return None
    found = [_solved(low, count + 0.5, middle)]
    if count > 0:
        found.append(_solved(1 - high, count - 0.5, middle))
    # The one that lies further out is the better determined.
    _, root = max((each for each in found if each is not None), default=(0.0, None))
    return root


def _solved(chance: float, count: float, middle: float) -> tuple[float, float] | None:
    """Return how far out a chance lies, and the root of the spread that makes it the chance of this count or fewer."""
    if not _SURE < chance < _FAR:
        return None
    z = _NORMAL.inv_cdf(chance)
    distance = 1.5 * (count**_POWER - middle**_POWER) / middle ** (1 / 6)
    if abs(z) < _UNCLEAR or distance / z <= 0:
        return None
    return abs(z), distance / z
