"""Units that the whole domain counts in: milliseconds and days since 1970 UTC, and six digits of a real number."""

from __future__ import annotations

from services.shared.units import DAY_MS, HOUR_MS, day_of

__all__ = ["DAY_MS", "HOUR_MS", "PPM", "day_of", "six_digits"]

PPM = 1_000_000


def six_digits(value: float) -> float:
    """Round to six significant digits, so that emitted numbers do not depend on the last bit of a library."""
    return float(f"{value:.6g}")
