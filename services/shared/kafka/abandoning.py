# ruff: noqa: SLF001 - a private seam of aiokafka, held by tests/contract/kafka/test_abandoning_seam.py
"""
Stop a producer in bounded time, whatever it holds.

`stop` of aiokafka waits until all is delivered, for an idempotent producer as long as a partition hangs. Cut short, it leaves
behind the task that sends, those that wait for answers, the one that keeps the metadata and the one that waits for delivery:
they go on sending, or wait for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer

log = logging.getLogger(__name__)

_CLOSE_WITHIN_S = 2.0
"""A connection to a broker that hangs is not closed before what it has to send is sent, which may be never."""
_END_WITHIN_S = 0.5
"""Requests whose connection is closed fail at once, and are filed to be sent again, which takes hundredths of a second."""


async def abandon(producer: AIOKafkaProducer, within_s: float) -> None:
    """Stop a producer; what it has not delivered in so many seconds it gives up, and nothing of it goes on."""
    try:
        async with asyncio.timeout(within_s):
            await producer.stop()
    except Exception as error:  # noqa: BLE001 - whatever it is, it has not stopped
        log.info("producer_abandoned", extra={"error": repr(error)})
        await _drop(producer)
    held = producer._message_accumulator
    batches = {*held._pending_batches, *(batch for filed in held._batches.values() for batch in filed)}
    heed(batch._drain_waiter for batch in batches)


def heed(futures: Iterable[asyncio.Future[Any]]) -> None:
    """
    Take note of what futures have failed with of which nobody asks any more.

    A producer that ends fails all that it holds, with one error. Whoever writes hears of it once; asyncio would tell the log of each
    of the others.
    """
    for future in futures:
        if future.done() and not future.cancelled():
            future.exception()


async def _drop(producer: AIOKafkaProducer) -> None:
    sending = producer._sender.sender_task
    if sending is not None:
        sending.cancel()  # now it sends nothing more and waits for the answers to what it has sent
    closing = asyncio.ensure_future(producer.client.close())
    await asyncio.wait({closing}, timeout=_CLOSE_WITHIN_S)
    closing.cancel()
    _update_no_more(producer)
    if sending is not None:
        await asyncio.wait({sending}, timeout=_END_WITHIN_S)
        sending.cancel()  # and with it the request that it waits for, which may be one that is repeated for ever
        await asyncio.wait({sending}, timeout=_END_WITHIN_S)
    held = producer._message_accumulator
    # Each takes itself from the pending ones when it is done, also where it was filed to be sent again.
    held._pending_batches.update(batch for batches in held._batches.values() for batch in batches)
    for batch in held._pending_batches:
        batch.future.cancel()  # `stop` has left a task that waits for it


def _update_no_more(producer: AIOKafkaProducer) -> None:
    """Let everybody who waits for new metadata go on, now and later: the task that would get them has ended."""
    client = producer.client
    if client._md_update_fut is None:
        client._md_update_fut = asyncio.get_running_loop().create_future()
    if not client._md_update_fut.done():
        client._md_update_fut.set_result(False)
