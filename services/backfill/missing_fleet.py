"""Why the fleet record of a day has not come: how far the day got on its way from the lanes back to them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from aiokafka.errors import KafkaError

from schemas.topics import FLEET, FLEET_PARTIALS
from services.shared.errors import TidemarkError
from services.shared.kafka.reading import decoded, record_of, scan
from services.shared.kafka.settings import KafkaSettings

WITHIN_S = 30.0
"""A transaction that is open on one of the topics holds up whoever reads it to its end."""


async def where(
    kafka: KafkaSettings, epoch: int, day: int, lanes: Collection[int], missing: Collection[int], within_s: float = WITHIN_S
) -> str:  # fmt: skip
    """
    Say what the day waits for; it never raises, since it explains another error.

    Args:
        kafka: The cluster.
        epoch: That of the drive.
        day: Days since 1970.
        lanes: The partitions that report the day.
        missing: Those whose fleet record has not come.
        within_s: How long the topics are read at most.
    """
    try:
        async with asyncio.timeout(within_s):
            if await _reported(kafka, FLEET, "fleet", epoch, day):
                return (
                    f"It is decided, but the lane of fleet-partials has not written it to partitions {sorted(missing)}"
                )
            reported = await _reported(kafka, FLEET_PARTIALS, "fleet_partial", epoch, day)
    except (TimeoutError, TidemarkError, KafkaError) as error:
        return f"How far the day got cannot be read ({error!r})"
    silent = sorted(set(lanes) - reported)
    if silent:
        return f"The lanes of partitions {silent} have not reported the day"
    return "All lanes have reported the day, but the lane of fleet-partials has not decided it"


async def _reported(kafka: KafkaSettings, topic: str, name: str, epoch: int, day: int) -> set[int]:
    """Return the partitions that records of the day name; of a decision, which names none, 0."""
    found = set()
    async for record in scan(kafka, topic):
        if record_of(record.value) == name:
            _, value = decoded(record.value)
            if (value["epoch"], value["day"]) == (epoch, day):
                found.add(value.get("partition", 0))
    return found
