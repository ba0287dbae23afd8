"""What is said of write keys and of tokens of the query API both where they are made and where they are looked up."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

ID_CHARS = 8
LONGEST = 256
DIGEST = re.compile(r"[0-9a-f]{64}")
"""What `digest` returns."""


def digest(credential: str) -> str:
    """
    Return the SHA-256 of a write key or token in hexadecimal, under which it is stored and found.

    A plain hash is enough for a key of 192 random bits, and costs half a microsecond. Looking a key up by its hash also
    takes no longer the more of it is right.
    """
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()


def id_of(sha256: str) -> str:
    """Return the name of a key or token in metrics and lists: the beginning of its hash."""
    return sha256[:ID_CHARS]


def dated(entry: Any) -> Any:
    """
    Return an entry of a file, as decoded from YAML, with a time for its `not_after`.

    A day stands for its end, and a time without a zone is in UTC; so is what comes of one with another zone.
    """
    at = entry.get("not_after") if isinstance(entry, dict) else None
    if isinstance(at, datetime):
        with suppress(OverflowError):  # in the first or last hours of the calendar
            at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        entry["not_after"] = at
    elif isinstance(at, date):
        day = datetime(at.year, at.month, at.day, tzinfo=UTC)
        entry["not_after"] = day + timedelta(days=1) if at < date.max else datetime.max.replace(tzinfo=UTC)
    return entry
