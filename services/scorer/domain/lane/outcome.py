"""What the fold puts out: values that the edge turns into records."""

from __future__ import annotations

from typing import Any, NamedTuple


class Snapshot(NamedTuple):
    """An AccountHealth record."""

    value: dict[str, Any]
    encoded: bytes
    """The same as the edge writes it."""


class Partial(NamedTuple):
    """A FleetPartial record."""

    value: dict[str, Any]


class Forgotten(NamedTuple):
    """An AccountForgotten record."""

    account: str
    at: int
    """Log time, milliseconds since 1970 UTC."""
    historical: bool
    """Whether a backfill led to it."""


class Rejection(NamedTuple):
    """An event, or one field of it, that was not applied."""

    reason: str
    field: str
    detail: str
    event: dict[str, Any]
    origin: Any
    """Whatever the edge handed in with the event, for it to find the original bytes."""
    at: int
    """Log time, milliseconds since 1970 UTC."""


Outcome = Snapshot | Partial | Forgotten | Rejection
