"""
The producers that records go by.

A producer of aiokafka has one request in flight for each broker, and a broker answers it when all of its partitions have
it. A partition that does not acknowledge, such as one with a follower that hangs, therefore holds every other one of
its leader, for the 15 s of a request and again for each repetition. A second request on the same connection would not help: a
broker reads the next one after it has answered. So who shall not wait takes another producer, with connections and sequence
numbers of its own. What was handed to one stays with it until it is acknowledged, so nothing is written twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from services.ingest.batches import Batch

_ABANDON_WITHIN_S = 20.0


class Route:
    """One producer and the batches that it has and nobody has acknowledged."""

    __slots__ = ("held", "producer")

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.held: dict[Batch, None] = {}


async def abandon(producer: AIOKafkaProducer, within_s: float = _ABANDON_WITHIN_S) -> None:
    """Stop a producer even where what it holds can no longer be delivered."""
    try:
        await asyncio.wait_for(producer.stop(), within_s)
    except (TimeoutError, KafkaError, OSError):
        sender = producer._sender  # noqa: SLF001 - stop() leaves it running when it times out
        if sender is not None and sender.sender_task is not None:
            sender.sender_task.cancel()
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(producer.client.close(), 5.0)
