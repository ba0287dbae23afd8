"""What a lane writes with each of its transactions, out of the end of its state topic: for tools that must not read it all."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from services.shared.kafka.reading import Offsets, beginnings, ends, scan
from services.shared.kafka.settings import KafkaSettings

TAIL = 64
"""Records from the end of each partition that are read at first; ever more where a key is not among them."""


async def last_records(kafka: KafkaSettings, topic: str, keys: Collection[bytes]) -> dict[int, dict[bytes, bytes]]:
    """Return the last value of each of these keys by partition; a partition without all of them gives those that it has."""
    limits = await ends(kafka, topic, committed=True)
    first = await beginnings(kafka, topic)
    found: dict[int, dict[bytes, bytes]] = {partition: {} for partition in limits}
    left: Offsets = {partition: end for partition, end in limits.items() if end > first[partition]}
    tail = TAIL
    while left:
        start = {partition: max(first[partition], end - tail) for partition, end in left.items()}
        # a partition that is not to be read is one whose start is its end
        records = await _records(kafka, topic, keys, {**limits, **start}, limits)
        for partition in sorted(left):
            found[partition] = records.get(partition, {})
            if len(found[partition]) == len(keys) or start[partition] == first[partition]:
                del left[partition]
        tail *= 64
    return found


async def _records(
    kafka: KafkaSettings, topic: str, keys: Collection[bytes], start: Mapping[int, int], stop: Mapping[int, int]
) -> dict[int, dict[bytes, bytes]]:
    latest: dict[int, dict[bytes, bytes]] = {}
    async for record in scan(kafka, topic, start, stop):
        if record.key in keys and record.value is not None:
            latest.setdefault(record.partition, {})[record.key] = record.value
    return latest
