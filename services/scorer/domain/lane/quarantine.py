"""Accounts set apart: why, since when, and how far they are closed."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from services.scorer.domain.lane.state_format import DEFAULT, HEADS, body_of

QUARANTINE = b"q:"
"""Prefix of the state records; the account's name follows."""


class Quarantine(NamedTuple):
    """One account that is not evaluated until somebody releases it."""

    detail: str
    """What went wrong, for people."""
    at: int
    """Log time, milliseconds since 1970 UTC."""
    frozen_day: int
    """The day that could not be closed: its events are dead-lettered meanwhile; -1: only evaluating it failed."""


def encode_quarantine(found: Quarantine, written: int = DEFAULT) -> bytes:
    """Return the state record in the format to be written."""
    return HEADS[written] + msgspec.msgpack.encode(found)


def decode_quarantine(value: bytes) -> Quarantine:
    """
    Read a state record.

    Raises:
        IncompatibleState: it was written in a newer format.
    """
    return Quarantine(*msgspec.msgpack.decode(body_of(value)))
