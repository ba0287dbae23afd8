"""Times as people write them into files, to milliseconds since 1970 UTC."""

from __future__ import annotations

from enum import StrEnum

from services.shared.units import DAY_MS, read_time

_LARGEST_MS = 4_102_444_800_000  # the year 2100: anything later was meant in another unit


class TimeFormat(StrEnum):
    """How a file writes its times."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    DAYS = "days"
    ISO = "iso"


def parse_time(text: str, written: TimeFormat) -> int:
    """
    Return milliseconds since 1970 UTC; an ISO time without a zone is taken as UTC.

    Raises:
        ValueError: it is not such a time, or it lies before 1970 or after 2100; the message says which.
    """
    try:
        at_ms = _milliseconds(text.strip(), written)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text[:40]!r} is not a time in {written.value}") from error
    if not 0 <= at_ms <= _LARGEST_MS:
        raise ValueError(f"{text[:40]!r} in {written.value} lies outside of 1970 to 2100: is the unit right?")
    return at_ms


def _milliseconds(text: str, written: TimeFormat) -> int:
    match written:
        case TimeFormat.SECONDS:
            whole, _, fraction = text.partition(".")
            if fraction and not fraction.isdigit():  # 1.70358e+09, as R and pandas write it, is no time soon after 1970
                raise ValueError(text)
            return int(whole) * 1000 + int((fraction + "000")[:3])
        case TimeFormat.MILLISECONDS:
            return int(text)
        case TimeFormat.DAYS:
            return int(text) * DAY_MS
        case TimeFormat.ISO:
            return read_time(text)
