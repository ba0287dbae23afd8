"""Times as people give them to a command: an age, or a moment."""

from __future__ import annotations

import re

from services.backfill.times import TimeFormat, parse_time
from services.shared.errors import WrongArgument
from services.shared.units import DAY_MS, HOUR_MS

_UNITS = {"m": 60_000, "h": HOUR_MS, "d": DAY_MS}


def moment(text: str, now_ms: int, option: str) -> int:
    """
    Return milliseconds since 1970 UTC of an age before now (`30m`, `2h`, `3d`) or of an ISO 8601 time.

    Raises:
        Fatal: it is neither.
    """
    age = re.fullmatch(r"([0-9]{1,6})([mhd])", text.strip())
    if age:
        return max(0, now_ms - int(age[1]) * _UNITS[age[2]])
    try:
        return parse_time(text, TimeFormat.ISO)
    except ValueError as error:
        raise WrongArgument(
            f"{option}: {error}; give an age such as 2h or 3d, or a time such as 2026-01-31T08:15Z"
        ) from error
