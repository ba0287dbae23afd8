"""Where the lanes of attribution stand: for tools that must not guess."""

from __future__ import annotations

from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError

from schemas.topics import USAGE_UNATTRIBUTED
from services.scorer.lane_facts import GROUP
from services.shared.kafka.clients import admin
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
