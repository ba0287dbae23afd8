"""Reading the dates that traits and properties hold."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

from services.shared.units import DAY_S, day_number

_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_END_SECOND = day_number(date(_LAST_YEAR + 1, 1, 1)) * DAY_S
_MILLISECONDS_FROM = 100_000_000_000  # as seconds that would be the year 5138
_KINDS = {bool: "true or false", list: "a list", dict: "an object"}


def read_day(value: Any) -> int:
    """
    Return the day of a date, days since 1970 UTC.

    Raises:
        ValueError: it is none, or not from 1970 to 2199.
        TypeError: it is neither text nor a number.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(f"send a date such as 2027-03-31, not {_KINDS.get(type(value), 'this')}")
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            when = (moment.astimezone(UTC) if moment.tzinfo else moment).date()
        except (ValueError, OverflowError):
            raise ValueError("send a date such as 2027-03-31") from None
    else:
        if not math.isfinite(value):
            raise ValueError("send a date such as 2027-03-31")
        seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
        if not 0 <= seconds < _END_SECOND:
            raise ValueError(f"send a date from {_FIRST_YEAR} to {_LAST_YEAR}")
        when = datetime.fromtimestamp(seconds, UTC).date()
    if not _FIRST_YEAR <= when.year <= _LAST_YEAR:
        raise ValueError(f"send a date from {_FIRST_YEAR} to {_LAST_YEAR}")
    return day_number(when)
