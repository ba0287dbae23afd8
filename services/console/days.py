"""Days of what the API tells: the midnight that ends a day belongs to it, as its closing does, in the API as well."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

_DAY_LENGTH = len("2026-03-31")


def log_day(told: str) -> date:
    """Return a day, or the day of UTC to whose past a time belongs."""
    if len(told) == _DAY_LENGTH:
        return date.fromisoformat(told)
    return (datetime.fromisoformat(told).astimezone(UTC) - timedelta(milliseconds=1)).date()


def log_day_text(told: str) -> str:
    """Return the same as a text such as `2026-03-31`."""
    return log_day(told).isoformat()


def days_between(first: str | None, last: str | None) -> int | None:
    """Return the whole days from one time or day to another, negative backwards; None where one is not known."""
    if not first or not last:
        return None
    return (log_day(last) - log_day(first)).days
