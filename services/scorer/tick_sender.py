"""
Append ticks so that a partition that does not acknowledge holds up no other one.

The client keeps one request in flight per broker, and a broker answers the requests of one connection in turn: a
partition that hangs would hold every tick behind it. So each producer carries one tick at a time, and there are a few.
A tick that is not acknowledged within a second keeps its producer to itself, another one takes its place, and from
then on that partition goes through the one producer for slow partitions until it is quick again.

Ticks need no idempotence and no quorum: one that is lost is followed by another, one that is doubled moves nothing, and
lanes read only what is replicated. So the leader's word is enough, and what hangs expires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

from services.shared.kafka.abandoning import abandon
from services.shared.kafka.clients import producer
from services.shared.kafka.clocks import leader_of
from services.shared.kafka.settings import KafkaSettings

MOST = 4
"""Producers for the quick partitions: an acknowledgement takes milliseconds, so these serve hundreds of lanes."""
SLOW_S = 1.0
GIVE_UP_S = 10.0
REQUEST_MS = 5_000


class Appended(NamedTuple):
    """An acknowledged tick."""

    timestamp_ms: int
    """When the broker appended it, milliseconds since 1970 UTC."""
    broker: str
    """`host:port` of the partition's leader; empty: not known."""


def tick_producer(kafka: KafkaSettings) -> AIOKafkaProducer:
    """Return an unstarted producer whose sends end in bounded time."""
    return producer(kafka, acks=1, enable_idempotence=False, request_timeout_ms=REQUEST_MS)


class TickSender:
    """Sends ticks to one topic, given by its full name. `close` at the end."""

    def __init__(self, topic: str, make: Callable[[], AIOKafkaProducer]) -> None:
        self._topic = topic
        self._make = make
        self._quick_turn, self._slow_turn = asyncio.Semaphore(MOST), asyncio.Semaphore(1)
        self._quick: list[AIOKafkaProducer] = []
        self._slow: list[AIOKafkaProducer] = []
        self._slow_partitions: set[int] = set()
        self._closing: set[asyncio.Task[None]] = set()

    async def send(self, partition: int, value: bytes) -> Appended:
        """
        Append one tick; at most one at a time for each partition.

        Raises:
            KafkaError: it was not taken.
            TimeoutError: nothing was heard for ten seconds.
        """
        slow = partition in self._slow_partitions
        turn, free = (self._slow_turn, self._slow) if slow else (self._quick_turn, self._quick)
        await turn.acquire()
        holds = True
        try:
            client = free.pop() if free else await self._start()
            good = False
            try:
                sending = asyncio.ensure_future(client.send_and_wait(self._topic, value, partition=partition))
                try:
                    good = bool((await asyncio.wait({sending}, timeout=SLOW_S))[0])
                    if not good:
                        self._slow_partitions.add(partition)
                        if not slow:
                            turn.release()
                            holds = False
                    sent = await asyncio.wait_for(sending, GIVE_UP_S - SLOW_S)
                finally:
                    sending.cancel()
                if good:
                    self._slow_partitions.discard(partition)
                return Appended(int(sent.timestamp), leader_of(client, self._topic, partition))
            except BaseException:
                good = False
                raise
            finally:
                if good:
                    free.append(client)
                else:
                    self._close(client)
        finally:
            if holds:
                turn.release()

    async def close(self) -> None:
        """Close all producers, in bounded time."""
        for client in (*self._quick, *self._slow):
            self._close(client)
        if self._closing:
            await asyncio.wait(self._closing)

    async def _start(self) -> AIOKafkaProducer:
        client = self._make()
        try:
            await client.start()
        except BaseException:
            self._close(client)
            raise
        return client

    def _close(self, client: AIOKafkaProducer) -> None:
        closing = asyncio.create_task(abandon(client, GIVE_UP_S))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
