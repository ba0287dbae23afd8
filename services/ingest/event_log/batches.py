"""What waits for Kafka: the batches of each topic partition, who waits for them, and the producer that has them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaProducer


class Ticket:
    """What one `append` waits for: a number of batches. `expires`: until when, by the monotonic clock."""

    __slots__ = ("done", "expires", "missing")

    def __init__(self, done: asyncio.Future[None], expires: float) -> None:
        self.done = done
        self.expires = expires
        self.missing = 0

    def acknowledged(self) -> None:
        """Count one batch off."""
        self.missing -= 1
        if self.missing == 0 and not self.done.done():
            self.done.set_result(None)

    def failed(self, error: Exception) -> None:
        """Give up, unless it is decided already."""
        if not self.done.done():
            self.done.set_exception(error)


class PendingBatch:
    """Records of one partition that travel together. Times are of the monotonic clock, but for `sent_ms`."""

    __slots__ = ("builder", "created", "follows", "newest", "route", "sent", "sent_ms", "size", "tickets")

    def __init__(self, builder: Any, created: float, *, follows: bool) -> None:
        self.builder = builder
        self.created = created
        self.follows = follows
        """Whether it goes on with an `append` whose first records fill the batch before: it must not overtake that one."""
        self.size = 0
        self.tickets: list[Ticket] = []
        self.newest: Ticket | None = None
        """The last of them: one `append` after the other adds its records, so nobody comes twice."""
        self.route: Route | None = None
        self.sent = 0.0
        self.sent_ms = 0


class Route:
    """One producer and the batches that it has and nobody has acknowledged."""

    __slots__ = ("held", "producer")

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.held: dict[PendingBatch, None] = {}

    def holds_older(self, than: float) -> bool:
        """Return whether it was given a batch before that time which it has not delivered."""
        return any(batch.sent < than for batch in self.held)


class PartitionQueue:
    """
    The batches of one topic partition: those that wait, the last of them still filling, and those that were handed over.

    One is handed over at a time. A queue is *suspect* from the moment that one takes long until one is acknowledged; it
    is then left behind, and the next goes by a route of its own, unless that one follows it. It is *slow* while what
    waits takes long too.
    """

    __slots__ = ("batches", "bytes", "freed", "handed", "head", "partition", "sending", "slow", "solo", "suspect", "topic")  # fmt: skip

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        """With the prefix of the deployment."""
        self.partition = partition
        self.batches: deque[PendingBatch] = deque()
        self.handed: dict[PendingBatch, None] = {}
        self.head: PendingBatch | None = None
        self.freed: asyncio.Future[None] | None = None
        self.sending: asyncio.Task[None] | None = None
        self.bytes = 0
        self.suspect = False
        self.slow = False
        self.solo: Route | None = None

    def leave_behind(self) -> None:
        """Wait no longer for the batch that was handed over, where the next one does not follow it."""
        if not (self.batches and self.batches[0].follows):
            self.free()

    def followers(self) -> Iterator[PendingBatch]:
        """Take out what follows the batch that was handed over; without that one it must not be written."""
        while self.batches and self.batches[0].follows:
            yield self.batches.popleft()

    def waiting_since(self) -> float | None:
        """Return since when the oldest batch waits that was not left behind; None where none does."""
        oldest = self.head or (self.batches[0] if self.batches else None)
        return oldest.created if oldest else None

    def free(self) -> None:
        """Wait for the batch that was handed over no longer."""
        self.head = None
        if self.freed is not None and not self.freed.done():
            self.freed.set_result(None)
