"""A log in this process's memory: for tests, and for trying requests out with no broker."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

from schemas.topics import TOPICS
from services.ingest.ports import LONGEST_WAIT_S, LogRecord
from services.shared.errors import Retryable

RECORD_OVERHEAD = 128
"""Bytes that Kafka's batch and record headers take of a topic's limit, rounded up."""


class MemoryEventLog:
    """Keeps records by topic, in order. `refuse` makes it push back until `accept`."""

    def __init__(self) -> None:
        self.records: defaultdict[str, list[LogRecord]] = defaultdict(list)
        self._refusal: str | None = None
        self._refusing_since = 0.0
        self.stalled_keys: set[bytes] = set()
        """Keys whose partition takes nothing."""

    def refuse(self, reason: str) -> None:
        """Push back from now on; senders are asked to wait as long as that has lasted, as with Kafka."""
        self._refusal, self._refusing_since = reason, time.monotonic()

    def accept(self) -> None:
        """Take records again."""
        self._refusal = None

    def largest_record(self, topic: str) -> int:
        """Return how many bytes key and value of one record may have together."""
        return TOPICS[topic].max_message_bytes - RECORD_OVERHEAD

    def stalled(self, records: Sequence[LogRecord]) -> list[int]:
        """Return the positions of the records of `stalled_keys`."""
        return [index for index, record in enumerate(records) if record.key in self.stalled_keys]

    async def append(self, records: Sequence[LogRecord]) -> None:
        """Keep all records."""
        if self._refusal is not None:
            raise Retryable(self._refusal, min(LONGEST_WAIT_S, max(1.0, time.monotonic() - self._refusing_since)))
        for record in records:
            self.records[record.topic].append(record)

    def slow(self) -> list[str]:
        """Return the keys that are set to take nothing."""
        return sorted(key.decode() for key in self.stalled_keys)

    def wedged(self) -> str | None:
        """Return None: memory is never wedged."""
        return None

    def not_ready(self) -> str | None:
        """Return the reason given to `refuse`."""
        return self._refusal
