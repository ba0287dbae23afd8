"""What the lanes of attribution say of themselves: for tools that must not guess."""

from __future__ import annotations

from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError

from schemas.topics import SCORER_USAGE_UNATTRIBUTED_STATE, USAGE_UNATTRIBUTED
from services.scorer.domain.attribution.ledger import LEDGER_KEY, AttributionCounters
from services.scorer.domain.attribution.ledger import read_counters as counters_in
from services.scorer.lane_facts import GROUP
from services.shared.kafka.clients import admin
from services.shared.kafka.reading import last_records
from services.shared.kafka.settings import KafkaSettings


async def read_positions(kafka: KafkaSettings) -> dict[int, int]:
    """
    Return the offsets of usage-unattributed that the lanes have committed, by partition.

    They are committed in the transactions of the lanes, after everything that was forwarded is acknowledged. Empty where no
    broker coordinates the group: none ever has on a new cluster, or it moves just now.
    """
    places = [TopicPartition(kafka.scoped(USAGE_UNATTRIBUTED), number) for number in range(kafka.partitions)]
    async with admin(kafka) as asking:
        try:
            found = await asking.list_consumer_group_offsets(kafka.scoped(GROUP), partitions=places)
        except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
            return {}
    return {place.partition: max(0, at.offset) for place, at in found.items()}


async def read_counters(kafka: KafkaSettings) -> dict[int, AttributionCounters]:
    """Return what each lane has counted, by partition."""
    found = await last_records(kafka, SCORER_USAGE_UNATTRIBUTED_STATE, (LEDGER_KEY,))
    return {
        partition: counters_in(LEDGER_KEY, records[LEDGER_KEY]) or AttributionCounters()
        for partition, records in sorted(found.items())
        if records
    }
