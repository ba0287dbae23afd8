"""
Writes appends, and again where they are not acknowledged: a partition that hangs for a while must not end the process.

An append may be written twice in any case, so to write it again does no harm. It is done by a new producer: one whose
records have expired may have left a gap in its numbering, and then nothing more is taken from it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    UnknownProducerId,
)

from services.shared.engine.errors import FailStop
from services.shared.engine.processor import Append

log = logging.getLogger(__name__)

PATIENCE_S = 100.0
"""After this a new process may know more. The watchdog shows the lane as stalled long before."""
_AGAIN_AFTER_S = 0.5
"""Pause before a new producer is tried where the last one could not even connect."""
_CLOSE_WITHIN_S = 5.0
_PASSING = (KafkaTimeoutError, OutOfOrderSequenceNumber, ProducerClosed, UnknownProducerId)


class Appender:
    """The producer of a worker for what its lanes write outside of transactions."""

    def __init__(self, make: Callable[[], AIOKafkaProducer], scoped: Callable[[str], str]) -> None:
        """Take how to make an unstarted producer, and how a topic is called on the cluster."""
        self._make = make
        self._scoped = scoped
        self._producer: AIOKafkaProducer | None = None
        self._renewing = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect."""
        self._producer = self._make()
        await self._producer.start()

    async def append(self, appends: Iterable[Append]) -> None:
        """
        Write appends, in their order; return when all are acknowledged.

        Raises:
            FailStop: it was never started.
            KafkaError: they cannot be written, or were not acknowledged for 100 seconds.
        """
        left = list(appends)
        deadline = time.monotonic() + PATIENCE_S
        while left:
            producer = self._producer
            if producer is None:
                raise FailStop("the worker does not run")
            left, error = await self._try(producer, left)
            if error is not None:
                if time.monotonic() >= deadline:
                    raise error
                log.warning("append_repeated", extra={"records": len(left), "error": repr(error)})
                try:
                    await self._renew(producer)
                except KafkaError as failed:  # no broker answers: the old one stays, and says the same at the next turn
                    _passing(failed)
                    await asyncio.sleep(_AGAIN_AFTER_S)

    async def _try(
        self, producer: AIOKafkaProducer, appends: list[Append]
    ) -> tuple[list[Append], KafkaError | None]:  # fmt: skip
        """Write appends; return those from the first on that was not acknowledged, so that their order is kept, and why."""
        sent: list[asyncio.Future[object]] = []
        error: KafkaError | None = None
        try:
            for a in appends:
                sent.append(  # noqa: PERF401 - what was sent before an error must be known
                    await producer.send(self._scoped(a.topic), a.value, a.key, a.partition)
                )
        except KafkaError as failed:
            error = _passing(failed)
        first = len(sent)
        for n, each in enumerate(await asyncio.gather(*sent, return_exceptions=True)):
            if isinstance(each, KafkaError):
                error, first = error or _passing(each), min(first, n)
            elif isinstance(each, BaseException):
                raise each
        return appends[first:], error

    async def _renew(self, producer: AIOKafkaProducer) -> None:
        async with self._renewing:
            if self._producer is producer:
                self._close(producer)
                fresh = self._make()
                try:
                    await fresh.start()
                except KafkaError:
                    self._close(fresh)
                    raise
                self._producer = fresh

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()
        if self._closing:
            await asyncio.wait(self._closing)

    def _close(self, producer: AIOKafkaProducer) -> None:
        closing = asyncio.create_task(_stop(producer))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _passing(error: KafkaError) -> KafkaError:
    """
    Return an error that is likely to pass.

    Raises:
        KafkaError: this one, where it is not.
    """
    if getattr(error, "retriable", False) or isinstance(error, _PASSING):
        return error
    raise error


async def _stop(producer: AIOKafkaProducer) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_WITHIN_S):
            await producer.stop()
