"""The partitions of which nothing more is stored, each with why; the others go on."""

from __future__ import annotations

import logging

from services.shared.kafka.partition import TopicPartition
from services.warehouse.filling.batch import Stop
from services.warehouse.metrics import WarehouseMetrics

log = logging.getLogger(__name__)


class Stops:
    """What stands still until the process is started again."""

    def __init__(self, metrics: WarehouseMetrics) -> None:
        self._metrics = metrics
        self.unknown: dict[TopicPartition, Stop] = {}
        """At a record that this version does not know: what came after it is not stored either."""
        self._damaged: dict[TopicPartition, Stop] = {}
        """Soon after an offset, at a batch that cannot be read: what came before it is stored."""

    def at_unknown(self, place: TopicPartition, stop: Stop) -> None:
        """Say that a partition waits for a version that knows a record."""
        self._tell("partition_stopped_by_unknown_version", place, stop)
        self.unknown[place] = stop

    def at_damage(self, place: TopicPartition, stop: Stop) -> None:
        """Say that the batches from an offset on, or one soon after it, are not what was written."""
        self._tell("partition_stopped_by_damaged_batch", place, stop)
        self._damaged[place] = stop

    def told(self) -> str | None:
        """Return what is to be done about the first of them; None where there are none."""
        for (topic, partition), stop in sorted(self.unknown.items()):
            return (
                f"{topic}/{partition} holds at offset {stop.offset} a record that this version does not know "
                f"({stop.detail}): install the version that wrote it, or a later one"
            )
        for (topic, partition), stop in sorted(self._damaged.items()):
            return (
                f"{topic}/{partition} is damaged soon after offset {stop.offset} on the broker that leads it ({stop.detail}):"
                " let another replica lead and restart the warehouse; see docs/runbooks/TidemarkWarehouseStopped.md"
            )
        return None

    def _tell(self, event: str, place: TopicPartition, stop: Stop) -> None:
        topic, partition = place
        log.critical(event, extra={"topic": topic, "partition": partition, "offset": stop.offset, "error": stop.detail})
        self._metrics.stopped.labels(topic, str(partition)).set(1)
