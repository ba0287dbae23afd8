"""
What was sent and cannot be applied, as a record of usage-rejected or dead-letters: the one place that says what of it is kept.

A dead letter fits every topic: of large originals and long texts the beginning is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from schemas import codec

ORIGINAL_BYTES = 900_000
"""The part of an original that is kept, so that a dead letter fits even a topic with Kafka's own limit of 1 MiB."""
BODY_BYTES = 64 * 1024
"""The part of a body that is kept if it is refused as a whole: unreadable bodies must not fill the log."""
_TEXT_CHARS = 1024

_encode = codec.encoder("dead_letter")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One thing that was not applied; the fields are those of the record."""

    by: str
    reason: str
    field: str
    detail: str
    original: bytes
    """All of it; what is kept has the size and the SHA-256 of all of it beside it."""
    keep: int = ORIGINAL_BYTES
    """Bytes of it that are kept at most."""
    kept: bytes | None = None
    """What is kept in its place, where something of it must not be written."""
    rejected_at: int = 0
    """Milliseconds since 1970 UTC; 0 where no time is known."""
    event_id: str = ""
    source: str = ""
    account: str = ""
    origin: str = ""
    request: str = ""
    """What a request said of all its events; see `services.shared.replays`."""

    @property
    def key(self) -> bytes:
        """The key of the record: the account, else the source, else the service."""
        return (self.account or self.source or self.by)[:_TEXT_CHARS].encode()

    def encode(self) -> bytes:
        """Return the value of the record."""
        kept = self.original if self.kept is None else self.kept
        return _encode(
            {
                "rejected_at": self.rejected_at,
                "by": self.by,
                "reason": self.reason,
                "field": self.field[:_TEXT_CHARS],
                "detail": self.detail[:_TEXT_CHARS],
                "event_id": self.event_id[:_TEXT_CHARS],
                "source": self.source[:_TEXT_CHARS],
                "account": self.account[:_TEXT_CHARS],
                "origin": self.origin,
                "request": self.request,
                "original": kept[: min(self.keep, ORIGINAL_BYTES)],
                "original_size": len(self.original),
                "original_sha256": sha256(self.original).hexdigest(),
            }
        )
