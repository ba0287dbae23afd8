"""Where each lane of a topic stands and what it has counted, out of its state topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from services.shared.engine.position import POSITION_KEY, Position
from services.shared.kafka.reading import last_records
from services.shared.kafka.settings import KafkaSettings

C = TypeVar("C")


async def read_lanes(
    kafka: KafkaSettings,
    state_topic: str,
    key: bytes,
    read: Callable[[bytes, bytes], C | None],
    nothing: Callable[[], C],
) -> dict[int, tuple[int, C]]:
    """
    Return the position and the counters of each lane, by partition, both of the same transaction.

    `key` is that of the counters in the state topic, `read` decodes them, and `nothing` are those of a lane without any.
    """
    found = await last_records(kafka, state_topic, (POSITION_KEY, key))
    return {
        partition: (
            Position.decode(records[POSITION_KEY])[0].offset,
            (read(key, records[key]) if key in records else None) or nothing(),
        )
        for partition, records in sorted(found.items())
        if POSITION_KEY in records
    }
