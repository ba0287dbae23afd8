"""
When an event happened, by our clock.

A client's clock may be wrong by any amount, but it is the same clock that wrote `timestamp` and `sentAt`; so the
time between the two is right, and `occurred_at = received_at - (sentAt - timestamp)`, the correction that
Segment and Snowplow apply too.
"""

from __future__ import annotations

from typing import Any

from services.ingest.errors import Code
from services.shared.errors import Rejected
from services.shared.units import DAY_MS, HOUR_MS, read_time

FUTURE_MS = DAY_MS
"""How far after its receipt an event may claim to have happened, once the client's clock is corrected."""
_EPOCH_MS = range(10**11, 10**13)
"""Integers taken for milliseconds since 1970 (years 1973 to 2286); smaller ones may be seconds, so are refused."""


def to_millis(value: Any, field: str) -> int | None:
    """
    Return milliseconds since 1970 UTC of a timestamp as SDKs send it; None where there is none.

    Raises:
        Rejected: it is neither ISO 8601 text nor an integer of milliseconds.
    """
    if value is None or value == "":
        return None
    if type(value) is str:
        try:
            return read_time(value)
        except (ValueError, OverflowError):
            raise Rejected(
                Code.INVALID_TIMESTAMP,
                field,
                f"{value[:40]!r} is no time; send ISO 8601 such as 2026-01-31T08:15:00.000Z",
            ) from None
    if type(value) is int and value in _EPOCH_MS:
        return value
    raise Rejected(
        Code.INVALID_TIMESTAMP, field, "send ISO 8601 text such as 2026-01-31T08:15:00.000Z, or milliseconds since 1970"
    )


def sent_at_millis(value: Any) -> int | None:
    """Return `sentAt` in milliseconds since 1970; None where it is missing or makes no sense, which is harmless."""
    try:
        return to_millis(value, "sentAt")
    except Rejected:
        return None


def occurred(timestamp: int | None, sent_at: int | None, received_at: int) -> tuple[int, int]:
    """
    Return when the event happened and the correction that was applied, both in milliseconds.

    A `sentAt` of over a day before the timestamp is not believed. A corrected time later than its receipt, by up
    to `FUTURE_MS`, is set to the receipt.

    Raises:
        Rejected: the time is before 1970, or further in the future than that.
    """
    if timestamp is None:
        return received_at, 0
    if timestamp < 0:
        raise _before_1970()
    corrected = timestamp
    if sent_at is not None and sent_at >= timestamp - FUTURE_MS:
        corrected = max(0, received_at - (sent_at - timestamp))
    if corrected > received_at:
        if corrected > received_at + FUTURE_MS:
            raise _ahead(corrected - received_at, "correct the sender's clock, or send sentAt")
        corrected = received_at
    return corrected, corrected - timestamp


def historical(timestamp: int | None, received_at: int) -> int:
    """
    Return when an event of a backfill happened: as it says, uncorrected.

    Raises:
        Rejected: it does not say, or the time is before 1970, or further in the future than `FUTURE_MS`.
    """
    if timestamp is None:
        raise Rejected(Code.MISSING_FIELD, "timestamp", "an event of a backfill needs timestamp")
    if timestamp < 0:
        raise _before_1970()
    if timestamp > received_at + FUTURE_MS:
        raise _ahead(timestamp - received_at, "send what has happened")
    return timestamp


def _before_1970() -> Rejected:
    return Rejected(Code.TIMESTAMP_OUT_OF_RANGE, "timestamp", "times before 1970 are not taken")


def _ahead(by_ms: int, do: str) -> Rejected:
    detail = f"the time is over {by_ms // HOUR_MS} hours ahead, and up to {FUTURE_MS // HOUR_MS} are accepted; {do}"
    return Rejected(Code.TIMESTAMP_IN_FUTURE, "timestamp", detail)
