"""
Lengths of time in milliseconds and seconds, and days as whole numbers: UTC days since 1970.

Pure module: domains may import it.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
DAY_S = 86_400
_EPOCH = date(1970, 1, 1)
_EPOCH_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_of(at_ms: int) -> int:
    """Return the UTC day, days since 1970, that a time in milliseconds since 1970 falls on."""
    return at_ms // DAY_MS


def day_number(day: date) -> int:
    """Return a date as days since 1970."""
    return (day - _EPOCH).days


def read_date(text: str) -> date:
    """
    Return a date that is written as `2027-03-31`. Python alone takes `20270331` and `2027-W13-3` too.

    Raises:
        ValueError: it is written in another way, or no calendar has it.
    """
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no date such as 2027-03-31")
    return date.fromisoformat(text)


def date_of(day: int) -> date:
    """
    Return the date of a day, days since 1970.

    Raises:
        OverflowError: no calendar has it.
    """
    return _EPOCH + timedelta(days=day)


def read_time(text: str) -> int:
    """
    Return a time of ISO 8601 in milliseconds since 1970, cut, so never in the next day; without a zone it is UTC.

    Raises:
        ValueError: it is no such time.
        OverflowError: it is one only in its own zone, at an end of the calendar.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH_TIME
    # Dividing by a timedelta takes as long as all else.
    return since.days * DAY_MS + since.seconds * 1000 + since.microseconds // 1000


def written_time(at_ms: float, timespec: str = "seconds") -> str:
    """Return a time in milliseconds since 1970 as `2027-03-31T08:15:00Z`, cut as `datetime.isoformat` cuts it."""
    return (_EPOCH_TIME + timedelta(milliseconds=at_ms)).isoformat(timespec=timespec).replace("+00:00", "Z")
