"""What an account keeps of its latest evaluation, encoded: most are never looked at before the next one."""

from __future__ import annotations

import msgspec

_pack = msgspec.msgpack.Encoder().encode


class LastEvaluation(msgspec.Struct, array_like=True):
    """What is kept of an account's latest evaluation."""

    sequence: int = 0
    score_tenths: int | None = None
    band: str = "UNKNOWN"
    past_edge_since: int = 0
    """Since when the score is clearly in another band; 0: it is not."""
    shares: dict[int, int] = {}
    """Contribution in tenths of each part of the latest snapshot, by number of the measure."""
    content: int = 0
    """Hash of what the latest snapshot said."""


_unpack = msgspec.msgpack.Decoder(LastEvaluation).decode


def write(last_evaluation: LastEvaluation) -> bytes:
    """Return the last evaluation as an account keeps it."""
    return _pack(last_evaluation)


def read(packed: bytes | None) -> LastEvaluation:
    """Return the last evaluation that an account keeps; an account without one has an empty one."""
    return LastEvaluation() if packed is None else _unpack(packed)
