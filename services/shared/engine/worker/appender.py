"""
Writes appends, and again where they are not acknowledged: a partition that hangs for a while must not end the process.

An append may be written twice in any case, so to write it again does no harm, as often as it takes: it is the same bytes, and
its reader takes the first. It is done by a new producer: one whose records have expired may have left a gap in its numbering,
and then nothing more is taken from it; and one that is idempotent lets no record expire, but repeats its request for ever.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

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
from services.shared.kafka.abandoning import abandon

log = logging.getLogger(__name__)

PATIENCE_S = 100.0
"""After this a new process may know more. The watchdog shows the lane as stalled long before."""
_ANSWER_WITHIN_S = 10.0
"""After this a record counts as not acknowledged: aiokafka would wait for as long as the partition hangs."""
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
        """
        Connect.

        Raises:
            KafkaError: no broker has answered.
        """
        self._producer = await self._connected()

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
            async with asyncio.timeout(_ANSWER_WITHIN_S):  # it waits for metadata, too
                for a in appends:
                    sent.append(  # noqa: PERF401 - what was sent before an error must be known
                        await producer.send(self._scoped(a.topic), a.value, a.key, a.partition)
                    )
        except TimeoutError:
            error = KafkaTimeoutError(f"records could not be handed over for {_ANSWER_WITHIN_S:.0f} s")
        except KafkaError as refused:
            error = _passing(refused)
        if sent:
            await asyncio.wait(sent, timeout=_ANSWER_WITHIN_S)
        first = len(sent)
        for n, each in enumerate(sent):
            if not each.done():
                each.cancel()  # whoever has it may still write it, but nobody asks any more
                failed = KafkaTimeoutError(f"{appends[n].topic} has not acknowledged for {_ANSWER_WITHIN_S:.0f} s")
            elif (raised := each.exception()) is None:
                continue
            elif isinstance(raised, KafkaError):
                failed = _passing(raised)
            else:
                raise raised
            error, first = error or failed, min(first, n)
        return appends[first:], error

    async def _renew(self, producer: AIOKafkaProducer) -> None:
        async with self._renewing:
            if self._producer is producer:
                self._close(producer)
                self._producer = await self._connected()

    async def _connected(self) -> AIOKafkaProducer:
        fresh = self._make()
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await fresh.start()
        except TimeoutError as error:
            self._close(fresh)
            raise KafkaTimeoutError(f"no broker has answered for {_ANSWER_WITHIN_S:.0f} s") from error
        except BaseException:
            self._close(fresh)
            raise
        return fresh

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            self._close(self._producer)
        if self._closing:
            await asyncio.wait(self._closing)

    def _close(self, producer: AIOKafkaProducer) -> None:
        closing = asyncio.create_task(abandon(producer, _CLOSE_WITHIN_S))
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
