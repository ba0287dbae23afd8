"""Rounds numbers before they are emitted: the parts of a sum so that they still add up, and others to six digits."""

from __future__ import annotations

import math
from collections.abc import Sequence


def shared_out(shares: Sequence[float]) -> list[int]:
    """Round shares so that they add up to their rounded sum exactly; the largest remainders are rounded up."""
    total = math.floor(math.fsum(shares) + 0.5)
    floors = [math.floor(share) for share in shares]
    order = sorted(range(len(shares)), key=lambda i: (floors[i] - shares[i], i))
    for i in order[: total - sum(floors)]:
        floors[i] += 1
    return floors


def six_digits(value: float) -> float:
    """Round to six significant digits, so that emitted numbers do not depend on the last bit of a library."""
    return float(f"{value:.6g}")
