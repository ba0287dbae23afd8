"""
The fleet factor: how active all accounts were on a day against their own baselines.

Each lane sums up its accounts in integers (a *partial*), one aggregator adds the partials and decides, and every
lane learns the decision from the log. With b an account's mean active user-days a week over the (up to 30) weeks
before the last seven days and x those of the last seven days, the factor is the weighted mean of min(x / b, 2) over
accounts with at least four weeks of baseline. Weights are sqrt(min(b, cap)), so no giant drives it; the cap is the
90th percentile of b as of the day before, read from a histogram because a percentile cannot be added up.

Left out: accounts without any activity in the last 28 days. They are lost or asleep, and would pull the factor
below 1 for everybody for as long as their old weeks are in the baseline. Baselines are raw means, not corrected by
former factors: corrected ones would let a wrong factor feed itself. What accounts are held against is not the bare
factor but its level: the factor over the fleet's own usual one (see `FleetYear.levels`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import isqrt
from statistics import median
from typing import Any

from services.scorer.domain.accounts.daily_counts import SPAN

PPM = 1_000_000
FLOOR_PPM, CAP_PPM = 50_000, 2_000_000
FEWEST_ACCOUNTS = 10
"""With fewer eligible accounts the factor is 1."""
FEWEST_WEEKS = 4
SEGMENT = "all"
USUAL_AFTER, USUAL_WEEKS = 4, 30
FEWEST_USUAL_WEEKS = 8
"""With fewer decided weeks the usual factor is taken for 1."""
_TOO_FEW = 0


def _bucket_edges() -> tuple[int, ...]:
    # 1000 * 2^((j - 40) / 8) in whole numbers: the eighth root is three square roots
    return tuple(isqrt(isqrt(isqrt((1000**8 << j) >> 40))) for j in range(176))


EDGES_MILLI = _bucket_edges()
"""Lower edges of the histogram's buckets, thousandths of active user-days a week: 0.03 to 115,000."""


class FleetTally:
    """One lane's partial in the making. All numbers are integers, so the order of accounts does not matter."""

    __slots__ = ("accounts", "histogram", "ratio_sum", "weight_sum")

    def __init__(self) -> None:
        """Start from nothing."""
        self.accounts = 0
        self.weight_sum = 0
        self.ratio_sum = 0
        self.histogram: dict[int, int] = {}

    def add(self, last_week: int, baseline_sum: int, weeks: int, cap_milli: int) -> None:
        """
        Add one eligible account.

        Args:
            last_week: Active user-days of the last seven days.
            baseline_sum: Those of the baseline, greater than 0.
            weeks: How many weeks the baseline has.
            cap_milli: Largest weekly baseline that counts in a weight, thousandths; 0: no cap.
        """
        ratio_ppm = min(last_week * weeks * PPM // baseline_sum, 2 * PPM)
        weekly_micro = baseline_sum * PPM // weeks
        weight_milli = isqrt(min(weekly_micro, cap_milli * 1000) if cap_milli else weekly_micro)
        self.accounts += 1
        self.weight_sum += weight_milli
        self.ratio_sum += (weight_milli * ratio_ppm + 500) // 1000
        bucket = max(0, bisect_right(EDGES_MILLI, weekly_micro // 1000) - 1)
        self.histogram[bucket] = self.histogram.get(bucket, 0) + 1

    def counts(self) -> list[int]:
        """Return the histogram as a list, cut after its last filled bucket."""
        return [self.histogram.get(b, 0) for b in range(max(self.histogram, default=-1) + 1)]

    def state(self) -> list[Any]:
        """Return what a resumed tally needs."""
        return [self.accounts, self.weight_sum, self.ratio_sum, sorted(self.histogram.items())]

    @classmethod
    def of_state(cls, state: Sequence[Any]) -> FleetTally:
        """Go on from `state`."""
        tally = cls()
        tally.accounts, tally.weight_sum, tally.ratio_sum = state[0], state[1], state[2]
        tally.histogram = {bucket: count for bucket, count in state[3]}  # noqa: C416 (pairs may be lists)
        return tally


def decide(partials: Iterable[Mapping[str, Any]], connected_before: Iterable[str]) -> dict[str, Any]:
    """
    Add up the partials of one day, at most one per partition, and return the Fleet record.

    `connected_before` are dimensions that were connected at an earlier decision; they stay so.
    """
    parts = sorted(partials, key=lambda part: part["partition"])
    accounts = sum(part["accounts"] for part in parts)
    weights = sum(part["weight_sum"] for part in parts)
    ratios = sum(part["weighted_ratio_sum"] for part in parts)
    factor = PPM
    if accounts >= FEWEST_ACCOUNTS and weights > 0:
        factor = max(FLOOR_PPM, min(CAP_PPM, (ratios * 1000 + weights // 2) // weights))
    connected = set(connected_before).union(*(part["connected"] for part in parts))
    return {
        "day": parts[0]["day"],
        "segment": parts[0]["segment"],
        "epoch": parts[0]["epoch"],
        "factor_ppm": factor,
        "accounts": accounts,
        "weight_cap_milli": percentile_milli([part["histogram"] for part in parts]),
        "partitions": max(part["partitions"] for part in parts),
        "reported": len(parts),
        "connected": sorted(connected),
    }


def percentile_milli(histograms: Sequence[Sequence[int]]) -> int:
    """Return the upper edge of the bucket that the 90th percentile of all histograms together falls in; 0: empty."""
    length = max((len(h) for h in histograms), default=0)
    merged = [sum(h[b] for h in histograms if b < len(h)) for b in range(length)]
    total = sum(merged)
    seen = 0
    for bucket, count in enumerate(merged):
        seen += count
        if total and seen * 10 >= total * 9:
            return EDGES_MILLI[min(bucket + 1, len(EDGES_MILLI) - 1)]
    return 0


class FleetYear:
    """The factors of 256 days as one lane knows them, the weight cap in force, and what is connected."""

    __slots__ = ("cap_milli", "connected", "days", "decided", "ppm")

    def __init__(self) -> None:
        """Every day is usual until something else is known."""
        self.ppm: array[int] = array("I", [0] * SPAN)
        self.days: array[int] = array("i", [-1] * SPAN)
        self.cap_milli = 0
        self.connected: frozenset[str] = frozenset()
        self.decided = False
        """Whether any day was decided."""

    def known(self, day: int) -> bool:
        """Return whether this day's factor was decided."""
        return self.days[day & (SPAN - 1)] == day

    def learn(self, day: int, ppm: int, accounts: int) -> None:
        """Keep the decision of one day, made from so many accounts."""
        cell = day & (SPAN - 1)
        self.decided = True
        self.days[cell] = day
        self.ppm[cell] = ppm if accounts >= FEWEST_ACCOUNTS else _TOO_FEW

    def factor_ppm(self, day: int) -> int:
        """Return the factor of a day; undecided, that of the nearest day before, at most 13 days earlier; else 1."""
        return self._decided(day) or PPM

    def levels(self, day: int, weeks: int) -> list[float]:
        """
        Return how active all accounts were against what is usual for them, week by week, 1 where that is not known.

        The weeks end with `day` and each seven days before it, the latest first. Usual is the median factor of the
        30 weeks that end four weeks ago. It is seldom 1: accounts that come in bursts and those that fade have more
        quiet weeks than their means say. Only what deviates from it is a holiday or a surge.
        """
        factors = [self._decided(day - 7 * back) for back in range(weeks)]
        known = [factor for factor in factors[USUAL_AFTER : USUAL_AFTER + USUAL_WEEKS] if factor]
        usual = median(known) if len(known) >= FEWEST_USUAL_WEEKS else PPM
        return [factor / usual if factor else 1.0 for factor in factors]

    def _decided(self, day: int) -> int:
        """Return the factor of the nearest decided day, `day` or up to 13 days before; 0: none, or too few accounts."""
        for back in range(14):
            cell = (day - back) & (SPAN - 1)
            if self.days[cell] == day - back:
                return self.ppm[cell]
        return 0
