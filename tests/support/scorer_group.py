"""
The consumer group of the scorer without a scorer: what tests commit in its place, as its lanes would.

Nothing here is used by a running service.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import USAGE_UNATTRIBUTED
from services.scorer.lane_facts import GROUP
from services.shared.kafka.settings import KafkaSettings


class ScorerGroup:
    """Commits what lanes of attribution are to have read."""

    def __init__(self, kafka: KafkaSettings, client: AIOKafkaConsumer) -> None:
        self._topic = kafka.scoped(USAGE_UNATTRIBUTED)
        self._client = client

    async def has_read(self, positions: Mapping[int, int]) -> None:
        """Commit offsets of usage-unattributed, by partition."""
        places = {TopicPartition(self._topic, partition): offset for partition, offset in positions.items()}
        self._client.assign(list(places))
        await self._client.commit(places)


@asynccontextmanager
async def scorer_group(kafka: KafkaSettings) -> AsyncIterator[ScorerGroup]:
    """Yield the group, while no scorer runs."""
    client = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, group_id=kafka.scoped(GROUP), enable_auto_commit=False
    )
    await client.start()
    try:
        yield ScorerGroup(kafka, client)
    finally:
        await client.stop()
