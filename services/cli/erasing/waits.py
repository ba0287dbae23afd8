"""Waiting until a process has done its part of an erasure, as the log shows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from schemas.topics import (
    ACCOUNT_HEALTH,
    ACCOUNT_HEALTH_LATEST,
    ALERTER_ACCOUNT_HEALTH_STATE,
    OPEN_SIGNALS,
    USAGE_EVENTS,
    USAGE_UNATTRIBUTED,
)
from services.scorer.lane_facts import read_lanes, read_positions
from services.shared.attribution_wait import AttributionWait, NotAttributed
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.errors import Retryable
from services.shared.kafka.reading import decoded, ends, last_records, latest
from services.shared.kafka.settings import KafkaSettings


async def await_attribution(kafka: KafkaSettings, within_s: float) -> None:
    """Return once attribution has forgotten who it is to forget, and has forwarded what it had of them before."""
    try:
        await AttributionWait(kafka, partial(ends, kafka, USAGE_UNATTRIBUTED), read_positions, within_s).settle()
    except NotAttributed as error:
        raise _late("attribution has not read whom it is to forget", within_s) from error


async def await_lanes(kafka: KafkaSettings, within_s: float) -> None:
    """Return once the scorer's lanes have read what is on usage-events now."""
    until = await ends(kafka, USAGE_EVENTS)

    async def has_read() -> bool:
        lanes = await read_lanes(kafka)
        return all(partition in lanes and lanes[partition].position >= end for partition, end in until.items() if end)

    await _until(has_read, within_s, "the scorer has not read what it is to forget")


async def await_alerter(kafka: KafkaSettings, within_s: float) -> None:
    """Return once the alerter has read what is on account-health now: it makes signals of it, which name people."""
    until = await ends(kafka, ACCOUNT_HEALTH)

    async def has_read() -> bool:
        found = await last_records(kafka, ALERTER_ACCOUNT_HEALTH_STATE, (POSITION_KEY,))
        read = {partition: Position.decode(each[POSITION_KEY])[0].offset for partition, each in found.items() if each}
        return all(read.get(partition, 0) >= end for partition, end in until.items())

    await _until(has_read, within_s, "the alerter has not read the health from before the erasure")


async def await_nothing_open(kafka: KafkaSettings, account: str, within_s: float) -> None:
    """Return once the account has neither health nor open signals any more."""
    await _until(lambda: _nothing_open(kafka, account), within_s, "the alerter has not closed the account's signals")


async def _nothing_open(kafka: KafkaSettings, account: str) -> bool:
    key = account.encode()
    health = await latest(kafka, ACCOUNT_HEALTH_LATEST, lambda record: record.key == key or None)
    return not health and not await latest(
        kafka, OPEN_SIGNALS, lambda record: decoded(record.value)[1].get("account") == account or None
    )


async def _until(done: Callable[[], Awaitable[bool]], within_s: float, otherwise: str) -> None:
    deadline = time.monotonic() + within_s
    while not await done():
        if time.monotonic() >= deadline:
            raise _late(otherwise, within_s)
        await asyncio.sleep(0.2)


def _late(what: str, within_s: float) -> Retryable:
    return Retryable(
        f"{what} in {within_s:.0f} s, so the warehouse was not told yet. Is it running and ready (`tidemark doctor`)? Run the same"
        " command again: it goes on from here"
    )
