"""What the fold of attribution puts out: values that the edge turns into records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Forward(NamedTuple):
    """An event, as its record, for the account that it belongs to."""

    value: bytes
    account: str
    via: str
    internal: bool
    """Whether the tracking plan leaves its user out."""
    event: Mapping[str, Any] | None = None
    """The same decoded, where it is at hand."""


class Move(NamedTuple):
    """An event, as its record, for the lane of the user whom its own is known as."""

    value: bytes
    user: str
    internal: bool
    """Whether the tracking plan leaves that user out."""
    event: Mapping[str, Any] | None = None


class Link(NamedTuple):
    """A UserLink record: for the lane of its user, or for an account that knows two people who are one."""

    value: dict[str, Any]
    to_account: bool


class Unresolved(NamedTuple):
    """An event that nobody has said the account of."""

    reason: str
    value: bytes
    offset: int
    at: int
    """Log time, milliseconds since 1970 UTC."""


Outcome = Forward | Move | Link | Unresolved
