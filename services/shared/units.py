"""
Lengths of time in milliseconds and seconds, and UTC days since 1970.

Pure module: domains may import it.
"""

from __future__ import annotations

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
DAY_S = 86_400


def day_of(at_ms: int) -> int:
    """Return the UTC day, days since 1970, that a time in milliseconds since 1970 falls on."""
    return at_ms // DAY_MS
