"""The dead letters of ingest: what was refused, with the reason, on usage-rejected."""

from __future__ import annotations

import hashlib

from schemas import codec
from schemas.topics import USAGE_REJECTED
from services.ingest.ports import LogRecord
from services.shared.errors import Rejected

_encode_letter = codec.encoder("dead_letter")
LETTER_ROOM = 4096
"""Bytes that a dead letter needs beside the original."""


def letter(
    original: bytes, error: Rejected, received_at: int, *, source: str, keep: int, event_id: str = ""
) -> LogRecord:
    """
    Return the dead letter of an event or a whole body.

    Args:
        original: What was refused, as it came.
        error: Why.
        received_at: In ms since 1970.
        source: The source that its write key stands for.
        keep: Bytes of the original that are kept; size and SHA-256 are those of all of it.
        event_id: Where the event has one that can be read.
    """
    value = _encode_letter(
        {
            "rejected_at": received_at,
            "by": "ingest",
            "reason": str(error.code),
            "field": error.field[:256],
            "detail": error.detail[:1024],
            "event_id": event_id,
            "source": source,
            "original": original[:keep],
            "original_size": len(original),
            "original_sha256": hashlib.sha256(original).hexdigest(),
        }
    )
    return LogRecord(USAGE_REJECTED, source.encode(), value)
