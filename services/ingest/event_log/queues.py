"""The queues of all partitions: which one a record goes to, how much they hold, and which of them take nothing now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from services.ingest.event_log.batches import PartitionQueue
from services.ingest.event_log.limits import TopicLimits
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import WRITES, LogRecord
from services.shared.kafka import topics
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings

_REMEMBERED_KEYS = 200_000
_REMEMBERED_KEY_BYTES = 64
_QUEUE_SHARE = 4
"""The part of `in_flight_bytes` that one partition may have: a quarter."""


class Queues:
    """One queue for each partition that was ever written to, and the bounds that they share."""

    def __init__(
        self,
        kafka: KafkaSettings,
        in_flight_bytes: int,
        absent: Callable[[], Mapping[str, str]],
        limits: TopicLimits,
        metrics: IngestMetrics,
    ) -> None:
        """Hold at most so many bytes. `absent` tells the topics that are absent from the cluster, each with what is wrong."""
        self._kafka = kafka
        self._most = in_flight_bytes
        self._share = in_flight_bytes // _QUEUE_SHARE
        self._limits = limits
        self._metrics = metrics
        self._of: dict[tuple[str, bytes], PartitionQueue] = {}
        self._told: frozenset[str] = frozenset()
        """The topics that are told as a whole."""
        self.absent = absent
        self.by_partition: dict[tuple[str, int], PartitionQueue] = {}
        self.shut: set[PartitionQueue] = set()
        """Those that take nothing now: they are slow, or have their share."""
        self.bytes = 0
        metrics.in_flight_bytes.set_function(lambda: self.bytes)

    def of(self, record: LogRecord) -> PartitionQueue:
        """Return the queue of the partition that a record goes to."""
        topic, key = record.topic, record.key
        queue = self._of.get((topic, key))
        if queue is not None:
            return queue
        partition = partition_for(key, self._kafka.partitions)
        queue = self.by_partition.get((topic, partition))
        if queue is None:
            queue = PartitionQueue(topics.full_name(self._kafka, topic), partition)
            self.by_partition[topic, partition] = queue
        if len(key) <= _REMEMBERED_KEY_BYTES:
            if len(self._of) >= _REMEMBERED_KEYS:
                self._of.clear()
            self._of[topic, key] = queue
        return queue

    def add(self, queue: PartitionQueue, size: int) -> None:
        """Count bytes that a queue has taken; one that has its share takes no more."""
        queue.bytes += size
        self.bytes += size
        if queue.bytes > self._share:
            self.shut.add(queue)

    def remove(self, queue: PartitionQueue, size: int) -> None:
        """Count bytes that a queue has no more."""
        queue.bytes -= size
        self.bytes -= size
        if not queue.slow and queue in self.shut and queue.bytes <= self._share:
            self.shut.discard(queue)

    def full(self) -> str | None:
        """Return that there is no room, in words; None where there is."""
        # What slow partitions hold takes at most half of the room from the others, however much it is.
        half = self._most // 2
        held = sum(queue.bytes for queue in self.shut) if self.shut else 0
        return (
            f"{self.bytes} bytes wait for Kafka already" if self.bytes - held >= self._most - min(held, half) else None
        )

    def stalled(self, records: Sequence[LogRecord]) -> list[int]:
        """Return the positions of the records whose partition takes nothing now, nearly always none."""
        absent, takes = self.absent(), self._limits.takes
        if not self.shut and not absent and not self._limits.lowered:
            return []
        return [
            index
            for index, record in enumerate(records)
            if record.topic in absent or not takes(record) or self.of(record) in self.shut
        ]

    def slow(self) -> list[str]:
        """Return the partitions that take nothing now, as `topic/partition`, after the topics that are absent or wrong."""
        return sorted([*self.absent().values(), *self._limits.told().values()]) + sorted(
            f"{name}/{partition}" for (name, partition), queue in self.by_partition.items() if queue in self.shut
        )

    def tell_topics(self) -> None:
        """Set the metric of slow partitions where other topics are absent, or take less than they should, than before."""
        found = self.absent().keys() | self._limits.lowered.keys()
        if found != self._told:
            self._told = frozenset(found)
            self.tell_slow()

    def tell_slow(self) -> None:
        """Set the metric of slow partitions: all of a topic that is absent, or takes less than it should."""
        for name in WRITES:
            slow = sum(queue.slow for (topic, _), queue in self.by_partition.items() if topic == name)
            slow = self._kafka.partitions if name in self._told else slow
            self._metrics.slow_partitions.labels(name).set(slow)
