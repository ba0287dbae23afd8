"""Where each lane of a topic stands and what it has counted, out of its state topic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from services.scorer.domain.counters import LEDGER_KEY, decode_counters
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.kafka.reading import last_records
from services.shared.kafka.settings import KafkaSettings

C = TypeVar("C", bound=msgspec.Struct)


async def read_counters(kafka: KafkaSettings, state_topic: str, kind: type[C]) -> dict[int, tuple[int, C]]:
    """Return the position and the counters of each lane, by partition, both of the same transaction."""
    found = await last_records(kafka, state_topic, (POSITION_KEY, LEDGER_KEY))
    return {
        partition: (
            Position.decode(records[POSITION_KEY])[0].offset,
            decode_counters(records[LEDGER_KEY], kind) if LEDGER_KEY in records else kind(),
        )
        for partition, records in sorted(found.items())
        if POSITION_KEY in records
    }


def differences(checks: Iterable[tuple[str, int, int, str]]) -> list[str]:
    """Say where a lane has counted another number on a line than there are of something."""
    return [f"the lane counted {n} {line}, there are {there} {what}" for line, n, there, what in checks if n != there]
