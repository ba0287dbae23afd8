"""The first record, and the step within it, that is not yet durable, and its form in the changelog."""

from __future__ import annotations

import struct
from typing import NamedTuple

from services.shared.errors import IncompatibleState

POSITION_KEY = b"\0next"
"""Keys that start with a NUL byte are the engine's own; this is the only one so far."""

UNKNOWN_TOPIC = bytes(16)
"""The id of a topic on a cluster that does not tell."""

_FORMAT = 1
_V1 = struct.Struct(">BqI16s")


class Position(NamedTuple):
    """Where a lane goes on: at `offset`, of whose fold the first `step` steps are durable."""

    offset: int
    step: int = 0

    def encode(self, topic_id: bytes = UNKNOWN_TOPIC) -> bytes:
        """Return the changelog value: offsets mean something only in the topic that they were counted in."""
        return _V1.pack(_FORMAT, self.offset, self.step, topic_id)

    @classmethod
    def decode(cls, value: bytes) -> tuple[Position, bytes]:
        """
        Read a changelog value: the position, and the id of the topic that it counts in.

        Raises:
            IncompatibleState: it was written by a newer engine.
        """
        if value[0] > _FORMAT:
            raise IncompatibleState(
                f"the lane position has format {value[0]}, this version reads up to {_FORMAT}: "
                "install the version that wrote it, or a later one"
            )
        _, offset, step, topic_id = _V1.unpack(value)
        return cls(offset, step), topic_id
