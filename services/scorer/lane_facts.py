"""
What the scorer's lanes say of themselves: for tools that must not guess.

A lane of usage-events writes its clock, its counters and its position with every transaction, so the last records of its state
topic have them; the state itself, however large, is not read. Of a lane of attribution its committed offset says enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError

from schemas.topics import SCORER_USAGE_EVENTS_STATE, USAGE_UNATTRIBUTED
from services.scorer.domain.counters import LEDGER_KEY
from services.scorer.domain.lane.state_format import CLOCK_KEY
from services.scorer.domain.lane.usage_fold import UsageFold
from services.scorer.settings import ScorerSettings, load_scoring
from services.scorer.usage_processor import STATE, UsageProcessor
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.kafka.clients import admin
from services.shared.kafka.group_offsets import group_offsets
from services.shared.kafka.reading import last_records
from services.shared.kafka.settings import KafkaSettings

GROUP = "scorer"
"""The consumer group of the scorer, without prefix."""


class LaneFacts(NamedTuple):
    """One lane of usage-events, as its last transaction left it."""

    position: int = 0
    """Offset of usage-events at which it goes on; 0: it has committed nothing."""
    log_time: int = 0
    """Milliseconds since 1970 UTC; 0: not started."""
    waiting: int | None = None
    """To where it was asked to step and waits for a person."""
    driven: bool = False
    epoch: int = 0
    counted: bool = False
    """Whether it has ever applied an event: such a lane lets nobody drive."""
    deferred: int = 0
    """Events, and links of people, that drives have put off since its log began."""


async def read_lanes(kafka: KafkaSettings) -> dict[int, LaneFacts]:
    """Return the facts of each lane, by partition."""
    found = await last_records(kafka, SCORER_USAGE_EVENTS_STATE, (POSITION_KEY, CLOCK_KEY, LEDGER_KEY))
    return {partition: _facts(records) or LaneFacts() for partition, records in sorted(found.items())}


async def read_positions(kafka: KafkaSettings) -> dict[int, int]:
    """
    Return the offsets of usage-unattributed that the lanes have committed, by partition.

    They are committed in the transactions of the lanes, after everything that was forwarded is acknowledged. Empty where no
    broker coordinates the group: none ever has on a new cluster, or it moves just now.
    """
    places = [TopicPartition(kafka.scoped(USAGE_UNATTRIBUTED), number) for number in range(kafka.partitions)]
    async with admin(kafka) as asking:
        try:
            found = await group_offsets(asking, kafka.scoped(GROUP), places)
        except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
            return {}
    return {place.partition: max(0, at.offset) for place, at in found.items()}


def _facts(records: Mapping[bytes, bytes]) -> LaneFacts | None:
    if not {POSITION_KEY, CLOCK_KEY, LEDGER_KEY} <= records.keys():
        return None
    processor = UsageProcessor(UsageFold(0, 1, *load_scoring(ScorerSettings()), 1000))
    for key in (CLOCK_KEY, LEDGER_KEY):
        processor.restore(STATE, key, records[key])
    clock, ledger = processor.state.clock, processor.state.ledger
    position = Position.decode(records[POSITION_KEY])[0].offset
    return LaneFacts(
        position,
        processor.log_time,
        processor.waiting,
        processor.driven,
        clock.epoch,
        ledger.applied > 0,
        ledger.deferred + ledger.links_deferred,
    )
