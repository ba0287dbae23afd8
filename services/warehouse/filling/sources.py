"""
The topics that the store is filled from: whether they are there and still the same, and where to go on in each.

The position is read back from the store, which alone knows what it has; `auto_offset_reset` never decides.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.shared.errors import Misfit
from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_ids import NO_ID, topic_id
from services.warehouse.domain.rows import TABLE_OF_TOPIC
from services.warehouse.filling.store_calls import StoreCalls
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import FillingStore

log = logging.getLogger(__name__)


def place_of(kafka: KafkaSettings, partition: TopicPartition) -> tuple[str, int]:
    """Return a partition as the store knows it: its topic without the prefix of this installation."""
    return partition.topic.removeprefix(kafka.topic_prefix), partition.partition


class Sources:
    """All partitions of all topics of the warehouse."""

    def __init__(self, kafka: KafkaSettings, store: FillingStore, calls: StoreCalls, metrics: WarehouseMetrics) -> None:
        """Ask the cluster, and `store` by `calls`."""
        self._kafka = kafka
        self._store = store
        self._calls = calls
        self._metrics = metrics

    async def partitions(self) -> list[TopicPartition]:
        """
        Return every partition of every topic.

        Raises:
            Misfit: a topic does not exist.
        """
        wanted = sorted(self._kafka.scoped(topic) for topic in TABLE_OF_TOPIC)
        async with admin(self._kafka) as client:
            described = await client.describe_topics(wanted)
        found = {t["topic"]: t["partitions"] for t in described if not t["error_code"]}
        missing = [name for name in wanted if name not in found]
        if missing:
            raise Misfit([f"topic {name} does not exist: run `tidemark topics create`" for name in missing])
        return [TopicPartition(name, p["partition"]) for name in wanted for p in found[name]]

    async def positions(self, reader: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """
        Return the next offset of each partition. What expired before it was stored is counted.

        Raises:
            Misfit: a topic is not the one that the store was filled from.
        """
        stored = await self._calls(self._store.positions)
        begins = await reader.beginning_offsets(partitions)
        ends = await reader.end_offsets(partitions)
        await self._same_topics({topic for (topic, _), position in stored.items() if position})
        found: dict[TopicPartition, int] = {}
        for tp in partitions:
            here = place_of(self._kafka, tp)
            position = stored.get(here, 0)
            if position > ends[tp]:
                ahead = f"ends at {ends[tp]}, the warehouse was filled up to {position}"
                raise Misfit([_anew(f"{tp.topic}/{tp.partition}", ahead)])
            if here in stored and position < begins[tp]:
                self._metrics.expired.labels(here[0]).inc(begins[tp] - position)
                log.error(
                    "records_expired_before_they_were_stored",
                    extra={"topic": tp.topic, "partition": tp.partition, "records": begins[tp] - position},
                )
            found[tp] = max(position, begins[tp])
        return found

    async def _same_topics(self, filled: Collection[str]) -> None:
        """
        Compare the ids of topics with those that the store was filled from, and note them.

        Raises:
            Misfit: one was deleted and made anew. Its end may be beyond the position, so only the id tells.
        """
        known = await self._calls(self._store.sources)
        ids: dict[str, str] = {}
        async with admin(self._kafka) as client:
            for topic in TABLE_OF_TOPIC:
                found = await topic_id(client, self._kafka.scoped(topic))
                if found != NO_ID:
                    ids[topic] = found.hex()
        if problems := [
            _anew(self._kafka.scoped(topic), "is not the topic that the warehouse was filled from")
            for topic, id_ in ids.items()
            if topic in filled and known.get(topic, id_) != id_
        ]:
            raise Misfit(problems)
        other = {topic: id_ for topic, id_ in ids.items() if known.get(topic) != id_}
        await self._calls(lambda: self._store.note_sources(other))


def _anew(topic: str, how: str) -> str:
    return f"{topic} {how}: the topic was made anew; set CLICKHOUSE_DATABASE to a new name, or restore the topic"
