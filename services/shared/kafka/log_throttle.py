"""
Keep the Kafka client from filling the log while a broker is away.

It retries every few milliseconds, on each connection of each client, and tells of every attempt: thousands of lines a
second that all say the same. Each kind of message passes once in a while; the next one says how many did not.
"""

from __future__ import annotations

import logging
import time

_CHATTY = ("aiokafka", "faust", "mode", "services.shared.kafka")
_EVERY_S = 10.0
_KINDS = 1000


class RepeatFilter(logging.Filter):
    """Let each message template of the chatty loggers pass at most once in some seconds; put it on a handler."""

    def __init__(self, every_s: float = _EVERY_S) -> None:
        """Take the seconds between two messages of one kind."""
        super().__init__()
        self._every_s = every_s
        self._passed: dict[object, float] = {}
        self._kept: dict[object, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record passes; note on it how many of its kind did not."""
        if not record.name.startswith(_CHATTY):
            return True
        now = time.monotonic()
        kind = record.name, record.msg
        if now - self._passed.get(kind, -self._every_s) < self._every_s:
            self._kept[kind] = self._kept.get(kind, 0) + 1
            return False
        if len(self._passed) >= _KINDS:  # templates that have values in them already: no two are the same
            self._passed.clear()
            self._kept.clear()
        self._passed[kind] = now
        kept = self._kept.pop(kind, 0)
        if kept:
            record.repeated = kept
        return True
