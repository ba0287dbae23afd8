"""
Lengths of time in milliseconds and seconds, and days as whole numbers: UTC days since 1970.

Pure module: domains may import it.
"""

from __future__ import annotations

from datetime import date, timedelta

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
DAY_S = 86_400
_EPOCH = date(1970, 1, 1)


def day_of(at_ms: int) -> int:
    """Return the UTC day, days since 1970, that a time in milliseconds since 1970 falls on."""
    return at_ms // DAY_MS


def day_number(day: date) -> int:
    """Return a date as days since 1970."""
    return (day - _EPOCH).days


def date_of(day: int) -> date:
    """
    Return the date of a day, days since 1970.

    Raises:
        OverflowError: no calendar has it.
    """
    return _EPOCH + timedelta(days=day)
