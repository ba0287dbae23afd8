"""The first record, and the step within it, that is not yet durable, and its form in the changelog."""

from __future__ import annotations

import struct
from typing import NamedTuple

from services.shared.errors import IncompatibleState

POSITION_KEY = b"\0next"
"""Keys that start with a NUL byte are the engine's own; this is the only one so far."""

_FORMAT = 1
_V1 = struct.Struct(">BqI")


class Position(NamedTuple):
    """Where a lane goes on: at `offset`, of whose fold the first `step` steps are durable."""

    offset: int
    step: int = 0

    def encode(self) -> bytes:
        """Return the changelog value."""
        return _V1.pack(_FORMAT, self.offset, self.step)

    @classmethod
    def decode(cls, value: bytes) -> Position:
        """
        Read a changelog value of any format up to the current one.

        Raises:
            IncompatibleState: it was written by a newer engine.
        """
        if value[0] > _FORMAT:
            raise IncompatibleState(
                f"the lane position has format {value[0]}, this version reads up to {_FORMAT}: "
                "install the version that wrote it, or a later one"
            )
        _, offset, step = _V1.unpack(value)
        return cls(offset, step)
