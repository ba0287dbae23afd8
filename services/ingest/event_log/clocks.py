"""How far this machine's clock is from those of the brokers that it writes to, as a gauge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.ingest.event_log.batches import PartitionQueue, PendingBatch, Route
from services.ingest.metrics import IngestMetrics
from services.shared.kafka.clocks import apart_ms, leader_of

_EVERY_S = 1.0
_KEPT_S = 600.0
"""Seconds after which a broker that leads nothing any more is forgotten."""


class Clocks:
    """Compares at most once a second and broker."""

    def __init__(self, metrics: IngestMetrics, clock_ms: Callable[[], int]) -> None:
        self._gauge = metrics.clock_apart_seconds
        self.now_ms = clock_ms
        self._seen: dict[str, float] = {}

    def compare(self, queue: PartitionQueue, batch: PendingBatch, route: Route, stored: Any, now: float) -> None:
        """
        Take note of an acknowledgement.

        Args:
            queue: The partition.
            batch: What was written to it.
            route: The producer that it went by.
            stored: aiokafka's metadata of the batch.
            now: By the monotonic clock.
        """
        if stored is None or stored.timestamp is None or stored.timestamp < 0:
            return  # the broker no longer knew when
        broker = leader_of(route.producer, queue.topic, queue.partition)
        if not broker or now - self._seen.get(broker, -_EVERY_S) < _EVERY_S:
            return
        self._seen[broker] = now
        self._gauge.labels(broker).set(apart_ms(batch.sent_ms, stored.timestamp, self.now_ms()) / 1000)
        for gone in [name for name, at in self._seen.items() if now - at > _KEPT_S]:
            del self._seen[gone]
            self._gauge.remove(gone)
