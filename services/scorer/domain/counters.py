"""How the counters of a lane are kept in its state topic, those of usage-events and of attribution alike."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from services.shared.errors import IncompatibleState

LEDGER_KEY = b"l:ledger"
FORMAT = 1

C = TypeVar("C", bound=msgspec.Struct)


def encode_counters(counters: msgspec.Struct) -> bytes:
    """Return the state record of the counters."""
    return bytes((FORMAT,)) + msgspec.msgpack.encode(counters)


def decode_counters(value: bytes, kind: type[C]) -> C:
    """
    Read the counters of this kind out of their state record.

    Raises:
        IncompatibleState: they were written in a newer format.
    """
    if value[0] > FORMAT:
        raise IncompatibleState(
            f"the scorer's counters are of format {value[0]}: run the version that wrote it, or a later one"
        )
    return msgspec.msgpack.decode(value[1:], type=kind)
