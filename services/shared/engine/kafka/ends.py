"""
How far the sources reach, asked of the cluster by a client of its own.

Not the group's consumer: what is asked there waits behind its fetches and holds them up, and a consumer that hangs
cannot tell that it does. Partitions are asked one by one, so that one without a leader hides no other. A client that
gets no answer is thrown away, and the next begins with the addresses from the settings: brokers may have moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.shared.kafka.clients import consumer
from services.shared.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_CLOSE_WITHIN_S = 2.0
_ASK_WITHIN_S = 5.0


class Ends:
    """The ends of partitions by full topic name, as last told, and whether the cluster answers this process."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._client: AIOKafkaConsumer | None = None
        self._known: dict[TopicPartition, tuple[int, float]] = {}
        self._reached_since: float | None = None

    def end(self, tp: TopicPartition, within_s: float) -> int | None:
        """Return the end of a partition if it was told in the last seconds, None otherwise."""
        end, at = self._known.get(tp, (0, -within_s))
        return end if time.monotonic() - at < within_s else None

    def reached_for(self) -> float:
        """Return for how many seconds the cluster has answered every round of questions; 0 while it does not."""
        return 0.0 if self._reached_since is None else time.monotonic() - self._reached_since

    def doubt(self) -> None:
        """Begin to count anew for how long the cluster has answered: this process was away, not the cluster."""
        self._reached_since = None

    async def ask(self, partitions: Collection[TopicPartition]) -> None:
        """Ask for the ends of some partitions, and forget all others; what goes wrong leaves them unknown."""
        self._known = {tp: known for tp, known in self._known.items() if tp in partitions}
        began = time.monotonic()
        try:
            async with asyncio.timeout(_ASK_WITHIN_S):
                client = await self._connected()
                async with asyncio.TaskGroup() as asking:
                    for tp in partitions:
                        asking.create_task(self._one(client, tp))
        except Exception as error:  # noqa: BLE001 - whatever it is, the ends stay unknown, and that is what counts
            told = sum(at >= began for _, at in self._known.values())
            log.warning("ends_unknown", extra={"error": repr(error), "told": told, "asked": len(partitions)})
        if any(at >= began for _, at in self._known.values()):
            self._reached_since = self._reached_since or time.monotonic()
        else:
            self._reached_since = None
            await self.close()

    async def close(self) -> None:
        """Give the client back."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSE_WITHIN_S):
                    await client.stop()

    async def _connected(self) -> AIOKafkaConsumer:
        if self._client is None:
            client = consumer(self._kafka, request_timeout_ms=int(_ASK_WITHIN_S * 1000), client_id="tidemark-watchdog")
            try:
                await client.start()
            except BaseException:
                await client.stop()
                raise
            self._client = client
        return self._client

    async def _one(self, client: AIOKafkaConsumer, tp: TopicPartition) -> None:
        try:
            end = (await client.end_offsets([tp]))[tp]
        except KafkaError as error:
            log.warning("end_unknown", extra={"topic": tp.topic, "partition": tp.partition, "error": repr(error)})
        else:
            self._known[tp] = end, time.monotonic()
