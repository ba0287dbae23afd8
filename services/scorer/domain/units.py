"""Units that the whole domain counts in: milliseconds and days since 1970 UTC, and six digits of a real number."""

from __future__ import annotations

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
PPM = 1_000_000


def day_of(at_ms: int) -> int:
    """Return the UTC day, days since 1970, that a time in milliseconds since 1970 falls on."""
    return at_ms // DAY_MS


def six_digits(value: float) -> float:
    """Round to six significant digits, so that emitted numbers do not hang on the last bit of a library."""
    return float(f"{value:.6g}")
