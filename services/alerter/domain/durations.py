"""Lengths of time in rules: `90m`, `12h`, `3d`. Whole numbers of minutes, hours or days, nothing else."""

from __future__ import annotations

import re

from services.shared.units import DAY_MS, HOUR_MS, MINUTE_MS

__all__ = ["DAY_MS", "EARLY_MS", "parse_duration", "reached"]

EARLY_MS = 3 * HOUR_MS
"""
How much short of a length of days still counts as reached.

A day is closed up to two hours after its end, and not at the same minute each day. Without this, "for three days"
would now and then take four.
"""

_PATTERN = re.compile(r"^(\d{1,5})(m|h|d)$")
_UNITS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


def parse_duration(text: str) -> int:
    """
    Return the length in milliseconds.

    Raises:
        ValueError: it is not a whole number followed by m, h or d.
    """
    match = _PATTERN.match(text)
    if match is None:
        msg = f"{text!r} is not a length of time such as 90m, 12h or 3d"
        raise ValueError(msg)
    return int(match[1]) * _UNITS[match[2]]


def reached(elapsed_ms: int, length_ms: int) -> bool:
    """Return whether so much time has passed; lengths of a day and more are met up to EARLY_MS before."""
    allowance = EARLY_MS if length_ms >= DAY_MS else 0
    return elapsed_ms + allowance >= length_ms
