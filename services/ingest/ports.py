"""What the use case asks of the world: a log that keeps what it acknowledges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from schemas.topics import USAGE_DETAILS, USAGE_EVENTS, USAGE_REJECTED, USAGE_UNATTRIBUTED

WRITES = (USAGE_EVENTS, USAGE_UNATTRIBUTED, USAGE_DETAILS, USAGE_REJECTED)
"""The topics that ingest writes."""
LONGEST_WAIT_S = 60.0
"""That a sender is asked to wait when the log takes nothing; it grows up to this, since SDKs count attempts, not time."""


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """One record to be written."""

    topic: str
    """Name as in its topic record, without the prefix of a deployment."""
    key: bytes
    value: bytes


class EventLog(Protocol):
    """
    An append-only log, partitioned by key.

    Records of one `append` that have the same key keep their order.
    """

    def largest_record(self, topic: str) -> int:
        """Return how many bytes key and value of one record may have together."""

    def stalled(self, records: Sequence[LogRecord]) -> list[int]:
        """Return the positions of the records whose partition takes nothing now, nearly always none."""

    async def append(self, records: Sequence[LogRecord]) -> None:
        """
        Write all records; return once each of them is durable.

        Cancelling the caller takes nothing back.

        Raises:
            Retryable: the log takes nothing now, or some record's outcome is not known. All, some or none of
                the records are in the log, or will be; sending them again is safe only where a reader drops
                repeated ids.
        """

    def slow(self) -> list[str]:
        """Return the partitions that take nothing now, in words."""

    def wedged(self) -> str | None:
        """Return why a new process might do better, in words; None where it would not."""

    def not_ready(self) -> str | None:
        """Return why the log takes nothing, or hardly anything, now, in words; None where it does."""


@dataclass(frozen=True, slots=True)
class ProduceBounds:
    """How much may wait for Kafka, and how long."""

    in_flight_bytes: int = 64 * 1024 * 1024
    batch_bytes: int = 512 * 1024
    linger_s: float = 0.002
    ack_timeout_s: float = 8.0
    """Below the shortest time-out of the SDKs, 10 s."""
    stall_after_s: float = 2.0
    """Age of a partition's oldest batch from which on its events are put off."""
    wedged_after_s: float = 120.0

    @property
    def suspect_after_s(self) -> float:
        """Age of a batch from which on nobody else shall wait for it."""
        return self.stall_after_s / 4
