"""
A log in memory: topics, partitions and offsets as Kafka has them, without Kafka.

It keeps what matters to a lane and leaves out the rest: holes where a transaction ended, what retention took, the id of
a topic, and what compaction would leave of a changelog.
"""

from __future__ import annotations

from collections.abc import Collection

from schemas.topics import SINGLE_PARTITION
from services.shared.engine.fold.start import Bounds
from services.shared.engine.processor import NO_APPEND_TIME, SourceRecord
from services.shared.kafka.partition import TopicPartition, partition_for


class MemoryLog:
    """Topics of partitions of records. A None in a partition is a hole, as a transaction's marker leaves it."""

    def __init__(self, partitions: int = 4, single: Collection[str] = SINGLE_PARTITION) -> None:
        """Take the partition count of every topic except the `single` ones, which have one."""
        self.partitions = partitions
        self.single = frozenset(single)
        self._topics: dict[str, list[list[SourceRecord | None]]] = {}
        self._begins: dict[TopicPartition, int] = {}
        self._ids: dict[str, bytes] = {}
        self._made = 0

    def count(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        return 1 if topic in self.single else self.partitions

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        appended_at: int = NO_APPEND_TIME,
    ) -> SourceRecord:
        """Append one record, to the partition of its key's hash unless told; return it as stored."""
        if partition is None:
            if key is None:
                raise ValueError(f"a record of {topic} without a key needs a partition")
            partition = partition_for(key, self.count(topic))
        slots = self._slots(topic, partition)
        record = SourceRecord(topic, partition, len(slots), key, value, appended_at)
        slots.append(record)
        return record

    def mark(self, topic: str, partition: int) -> None:
        """Leave a hole, as the marker of a transaction does."""
        self._slots(topic, partition).append(None)

    def read(self, topic: str, partition: int, start: int = 0, limit: int | None = None) -> list[SourceRecord]:
        """Return the records of one partition from an offset on, at most `limit` of them."""
        return self.fetch(topic, partition, start, limit)[0]

    def fetch(
        self, topic: str, partition: int, start: int = 0, limit: int | None = None
    ) -> tuple[list[SourceRecord], int]:
        """Return records as `read` does, and the offset up to which they and the holes behind them cover the log."""
        slots = self._slots(topic, partition)
        found: list[SourceRecord] = []
        for offset in range(max(start, self._begins.get((topic, partition), 0)), len(slots)):
            record = slots[offset]
            if record is not None:
                if limit is not None and len(found) >= limit:
                    return found, offset
                found.append(record)
        return found, max(start, len(slots))

    def trim(self, topic: str, partition: int, before: int) -> None:
        """Delete the records before an offset, as retention does."""
        self._begins[topic, partition] = before

    def recreate(self, topic: str) -> None:
        """Delete a topic and make it anew, empty, under another id."""
        self._topics.pop(topic, None)
        for place in [place for place in self._begins if place[0] == topic]:
            del self._begins[place]

    def bounds(self, topic: str, partition: int) -> Bounds:
        """Say what exists of a partition. There are no groups, so nobody has committed an offset in it."""
        slots = self._slots(topic, partition)
        return Bounds(self._begins.get((topic, partition), 0), len(slots), None, self._ids[topic])

    def records(self, topic: str) -> list[SourceRecord]:
        """Return all records of a topic, by partition and offset."""
        return [r for p in range(self.count(topic)) for r in self.read(topic, p)]

    def values(self, topic: str, key: bytes | None = None) -> list[bytes]:
        """Return the values of a topic by partition and offset, of one key if given, without tombstones."""
        return [r.value for r in self.records(topic) if r.value is not None and (key is None or r.key == key)]

    def latest(self, topic: str, partition: int | None = None) -> dict[bytes, bytes]:
        """Return the last value of each key, as compaction would leave it, of one partition or of all."""
        live: dict[bytes, bytes] = {}
        for record in self.records(topic) if partition is None else self.read(topic, partition):
            if record.key is not None and record.value is not None:
                live[record.key] = record.value
            elif record.key is not None:
                live.pop(record.key, None)
        return live

    def _slots(self, topic: str, partition: int) -> list[SourceRecord | None]:
        if topic not in self._topics:
            self._topics[topic] = [[] for _ in range(self.count(topic))]
            self._made += 1
            self._ids[topic] = self._made.to_bytes(16, "big")
        return self._topics[topic][partition]
