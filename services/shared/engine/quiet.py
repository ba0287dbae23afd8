"""
Keep the Kafka client from filling the log while a broker is away.

It retries every few milliseconds, on each connection of each lane, and tells of every attempt: thousands of lines a
second that all say the same. Each kind of message passes once in a while; the next one says how many did not.
"""

from __future__ import annotations

import logging
import time

_CHATTY = (
    "aiokafka",
    "aiokafka.client",
    "aiokafka.conn",
    "aiokafka.cluster",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
)
_EVERY_S = 10.0


class OnceInAWhile(logging.Filter):
    """Let each message template pass at most once in some seconds."""

    def __init__(self, every_s: float = _EVERY_S) -> None:
        """Take the seconds between two messages of one kind."""
        super().__init__()
        self._every_s = every_s
        self._passed: dict[object, float] = {}
        self._kept: dict[object, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record passes; note on it how many of its kind did not."""
        now = time.monotonic()
        if now - self._passed.get(record.msg, -self._every_s) < self._every_s:
            self._kept[record.msg] = self._kept.get(record.msg, 0) + 1
            return False
        self._passed[record.msg] = now
        kept = self._kept.pop(record.msg, 0)
        if kept:
            record.repeated = kept
        return True


def install() -> None:
    """Quiet the loggers of the Kafka client, once a process."""
    for name in _CHATTY:
        logger = logging.getLogger(name)
        if not any(isinstance(f, OnceInAWhile) for f in logger.filters):
            logger.addFilter(OnceInAWhile())
