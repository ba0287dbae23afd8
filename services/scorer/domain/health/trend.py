"""
The trend of one, two and four weeks against the 30 weeks before them.

The unit is the active user-day. Windows are whole weeks, so the pattern of weekdays cancels. With x the count of a
window, f_w the fleet's factor of week w, B the sum of the n baseline weeks and F_B the sum of their factors:

    rate      L   = (B + k c) / (F_B + k)            k pseudo-weeks of a cohort's mean c; k = 0 here
    expected  E   = L * sum of f over the window
    ratio     R   = (x + 0.5) / (E + 0.5)
    spread    phi = max(1, mean over the baseline of (x_w - L f_w)^2 / (L f_w)), shrunk: (n phi + 10 phi_0) / (n + 10)
    variance      = phi' E  with  phi' = phi (1 + weeks of the window / n): the rate itself is uncertain
    p_low         = P(Z <= 1.5 ((x + 0.5)^(2/3) - E^(2/3)) / (E^(1/6) sqrt(phi')))

The last is Farrington's two-thirds power, which makes a skewed count nearly normal (Farrington et al. 1996, "A
statistical algorithm for the early detection of outbreaks of infectious disease", JRSS A 159). p_high mirrors it
with x - 0.5. The p values are a guard for small counts, not a rank: ratios rank better than surprise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

BASELINE_WEEKS = 30
WINDOWS = (1, 2, 4)
SHRINK_WEEKS = 10
FLEET_DISPERSION = 1.5
"""phi_0. Active user-days of one account vary a little more than independent ones would."""
SMOOTH = 0.5
"""Added to a count and to what was expected before one is divided by the other: one more or less of little says little."""
_ROOT_HALF = math.sqrt(0.5)


class Window(NamedTuple):
    """One window's count against what was to be expected."""

    weeks: int
    active: int
    expected: float
    ratio: float
    p_low: float
    p_high: float


class Baseline(NamedTuple):
    """The own history that a window is held against."""

    weeks: int
    rate: float
    """Active user-days of a usual week: one with a fleet factor of 1."""
    dispersion: float


def baseline(counts: Sequence[int], factors: Sequence[float]) -> Baseline:
    """Learn the rate and the spread from weekly counts and the fleet's factors of the same weeks."""
    n = len(counts)
    if n == 0:
        return Baseline(0, 0.0, FLEET_DISPERSION)
    rate = sum(counts) / math.fsum(factors)
    spread = 1.0
    if rate > 0:
        expected = [rate * factor for factor in factors]
        spread = math.fsum([(x - usual) ** 2 / usual for x, usual in zip(counts, expected, strict=True)]) / n
        spread = max(1.0, spread)
    return Baseline(n, rate, (n * spread + SHRINK_WEEKS * FLEET_DISPERSION) / (n + SHRINK_WEEKS))


def guard(count: float, expected: float, variance_ratio: float) -> float:
    """
    Return the chance of a count this small or smaller, by the two-thirds power.

    Args:
        count: With the continuity correction already in it.
        expected: Greater than 0.
        variance_ratio: phi'.
    """
    power = 2 / 3
    z = 1.5 * (count**power - expected**power) / (expected ** (1 / 6) * math.sqrt(variance_ratio))
    return 0.5 * math.erfc(-z * _ROOT_HALF)


def window(weeks: int, count: int, learned: Baseline, factors: Sequence[float]) -> Window:
    """
    Hold one window against its baseline.

    Without any baseline nothing is known of what was to be expected: the count itself stands for it, the ratio is
    1 and both chances are 1.
    """
    if learned.weeks == 0:
        return Window(weeks, count, float(count), 1.0, 1.0, 1.0)
    expected = learned.rate * math.fsum(factors)
    ratio = (count + SMOOTH) / (expected + SMOOTH)
    if expected <= 0:
        return Window(weeks, count, 0.0, ratio, 1.0, 1.0)
    variance_ratio = learned.dispersion * (1 + weeks / learned.weeks)
    low = guard(count + 0.5, expected, variance_ratio)
    high = 1.0 - guard(count - 0.5, expected, variance_ratio) if count else 1.0
    return Window(weeks, count, expected, ratio, low, high)


def trend(weekly: Sequence[int], factors: Sequence[float], own_weeks: int) -> tuple[tuple[Window, ...], Baseline]:
    """
    Return the windows of one, two and four weeks, and the baseline before the last.

    Args:
        weekly: Active user-days a week, the latest first, at least 34.
        factors: The fleet's factors of the same weeks.
        own_weeks: Whole weeks since the account's first day, all of `weekly` included.
    """
    windows = []
    learned = Baseline(0, 0.0, FLEET_DISPERSION)
    for weeks in WINDOWS:
        end = weeks + max(0, min(BASELINE_WEEKS, own_weeks - weeks))
        learned = baseline(weekly[weeks:end], factors[weeks:end])
        windows.append(window(weeks, sum(weekly[:weeks]), learned, factors[:weeks]))
    return tuple(windows), learned
