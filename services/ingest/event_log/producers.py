"""
The producers that records go by.

A producer of aiokafka has one request in flight for each broker, and a broker answers it when all of its partitions have
it. A partition that does not acknowledge, such as one with a follower that hangs, therefore holds every other one of
its leader, for the 15 s of a request and again for each repetition. A second request on the same connection would not
help: a broker reads the next one after it has answered. So who shall not wait takes another producer, with connections
and sequence numbers of its own. What was handed to one stays with it until it is acknowledged: nothing is written twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError

from schemas.topics import TOPICS
from services.ingest.event_log.batches import Route
from services.ingest.ports import WRITES
from services.shared.errors import Misfit
from services.shared.kafka import clients, topics
from services.shared.kafka.abandoning import abandon
from services.shared.kafka.cause import find_cause
from services.shared.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_ABANDON_WITHIN_S = 20.0
_CLOSE_WITHIN_S = 2.0
_AGAIN_S = 0.25
_START_WITHIN_S = 20.0
"""A producer's start waits without a bound for its id, which the controller hands out by way of a broker."""
_TOPIC_WITHIN_S = 1.0
"""How long a producer waits to learn of a topic: one that is gone keeps it no longer from the others."""
_SOLOS = 4
"""Partitions that may have a producer of their own at a time."""
_LEFT_BEHIND = 4
"""Producers that may be waiting for what a slow partition has not acknowledged; then no new one is made."""


class Producers:
    """The common producer, those of single partitions, and those that were left behind with what they hold."""

    def __init__(self, kafka: KafkaSettings, batch_bytes: int) -> None:
        self._kafka = kafka
        self._batch_bytes = batch_bytes
        self.common: Route | None = None
        self._solos: set[Route] = set()
        self._places = _SOLOS
        self._left_behind: set[Route] = set()
        self._renewing = False
        self._checked = False
        self.reason: str | None = "not connected yet"
        """Why there is no common producer, or nobody answers it."""
        self.last_sign = time.monotonic()
        """When something was last heard of Kafka, by the monotonic clock."""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets a `Misfit` when the cluster can never be written to as it is configured."""
        self._tasks: set[asyncio.Task[None]] = set()

    def renew(self) -> None:
        """Begin to make a common producer, unless that is under way; the present one keeps what it holds."""
        if not self._renewing and len(self._left_behind) < _LEFT_BEHIND:
            self._renewing = True
            self.background(self._renew())

    def knows(self, route: Route) -> bool:
        """Return whether a producer has not been given up or closed."""
        return route is self.common or route in self._solos or route in self._left_behind

    async def solo(self, wanted: Callable[[], bool]) -> Route | None:
        """Return a producer for one partition alone, once there may be one; None when it is not `wanted` any more."""
        while wanted():
            # Where the common one cannot be renewed nobody else could connect either.
            if not self._places or self._renewing:
                await asyncio.sleep(_AGAIN_S / 2)
                continue
            self._places -= 1
            route = None
            try:
                route = await self._start(wanted)
            finally:
                if route is None:
                    self._places += 1
            if route is not None:
                self._solos.add(route)
                return route
        return None

    def leave(self, route: Route) -> None:
        """Send nothing more by a producer; it is closed when it has delivered what it holds."""
        if route in self._solos:
            self._solos.discard(route)
            self._places += 1
        if route.held:
            self._left_behind.add(route)
        else:
            self._left_behind.discard(route)
            self.background(abandon(route.producer, _ABANDON_WITHIN_S))

    def delivered(self, route: Route) -> None:
        """Take note that a producer has delivered something."""
        if not route.held and route in self._left_behind:
            self.leave(route)

    def give_up(self, route: Route, reason: str) -> None:
        """Close a producer with what it holds; the common one is replaced."""
        route.held.clear()
        if route is self.common:
            self.common = None
            self.reason = reason
            self.background(abandon(route.producer, _ABANDON_WITHIN_S))
            self.renew()
        else:
            self.leave(route)

    async def probe(self) -> None:
        """Ask the cluster for its metadata, so that it is known whether it is there when nothing is written."""
        common = self.common
        if common is None:
            return
        alive = False
        with contextlib.suppress(TimeoutError, KafkaError):
            alive = await asyncio.wait_for(common.producer.client.force_metadata_update(), 5.0)
        if alive:
            self.last_sign = time.monotonic()
        if common is self.common and not common.held:
            self.reason = None if alive else self._nobody()

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something until `close`."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End what runs, and all producers."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        routes = {*self._solos, *self._left_behind, *([self.common] if self.common else [])}
        self.common = None
        self._solos.clear()
        self._left_behind.clear()
        await asyncio.gather(*(abandon(route.producer, _CLOSE_WITHIN_S) for route in routes))

    async def _renew(self) -> None:
        try:
            route = await self._start(lambda: True)
        finally:
            self._renewing = False
        if route is None:
            return
        former, self.common = self.common, route
        self.last_sign = time.monotonic()
        self.reason = None
        log.info("connected", extra={"bootstrap": self._kafka.bootstrap_servers})
        if former is not None:
            self.leave(former)

    async def _start(self, wanted: Callable[[], bool]) -> Route | None:
        """Return a producer that has started; None where it is not wanted any more, or never will be of use."""
        waiting = False
        while wanted():
            producer = clients.producer(self._kafka, max_batch_size=self._batch_bytes, linger_ms=0)
            try:
                async with asyncio.timeout(_START_WITHIN_S):
                    await producer.start()
                if not self._checked:
                    problems = await topics.check(self._kafka, [TOPICS[name] for name in WRITES])
                    if problems:
                        await abandon(producer, _ABANDON_WITHIN_S)
                        self._fail(Misfit(problems))
                        return None
                    self._checked = True
                await self._learn(producer)
            except (KafkaError, OSError, TimeoutError) as error:
                await abandon(producer, _ABANDON_WITHIN_S)
                cause = await find_cause(self._kafka)
                why = cause.text if cause else _said(error)
                if self.common is None:
                    self.reason = f"{self._nobody()}: {why}" if cause else f"no producer can be made: {why}"
                if cause and cause.lasting and not self._checked:
                    self._fail(Misfit([f"{self._nobody()}: {why}"]))
                    return None
                if not waiting:
                    waiting = True
                    log.warning("waiting_for_broker", extra={"cause": why})
                await asyncio.sleep(_AGAIN_S)
            except asyncio.CancelledError:
                await abandon(producer, _ABANDON_WITHIN_S)
                raise
            else:
                return Route(producer)
        return None

    async def _learn(self, producer: AIOKafkaProducer) -> None:
        """
        Get to know the partitions of the topics, so that nobody waits for that later.

        Raises:
            UnknownTopicOrPartitionError: not one of them is known.
        """
        unknown = []
        for name in WRITES:
            try:
                async with asyncio.timeout(_TOPIC_WITHIN_S):
                    await producer.partitions_for(topics.full_name(self._kafka, name))
            except (TimeoutError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError):
                unknown.append(name)
        if len(unknown) == len(WRITES):
            raise UnknownTopicOrPartitionError(", ".join(unknown))

    def _nobody(self) -> str:
        return f"Kafka does not answer at {self._kafka.bootstrap_servers}"

    def _fail(self, error: Misfit) -> None:
        self.reason = "; ".join(error.problems)
        if not self.failed.done():
            self.failed.set_exception(error)


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no broker handed out a producer id in {_START_WITHIN_S:.0f} s; see whether the controller is there"
    return repr(error)
