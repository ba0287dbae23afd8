"""How far the store is behind the topics, told each second, above all while it is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.shared.kafka.settings import KafkaSettings
from services.warehouse.filling.sources import place_of
from services.warehouse.metrics import WarehouseMetrics

log = logging.getLogger(__name__)

_EVERY_S = 1.0


class Lag:
    """Shows what is stored beside what there is."""

    def __init__(
        self,
        kafka: KafkaSettings,
        metrics: WarehouseMetrics,
        stored: Mapping[tuple[str, int], int],
        newest: Mapping[tuple[str, int], int],
    ) -> None:
        """Look at `stored`, next offsets, and `newest`, append times in milliseconds of what was stored last; both change."""
        self._kafka = kafka
        self._metrics = metrics
        self._stored = stored
        self._newest = newest
        self._caught_up: dict[tuple[str, int], float] = {}
        """When all there was of a partition was seen to be stored, in seconds since 1970."""
        self._started = time.time()

    async def measure(self, reader: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Set the metrics until cancelled."""
        while True:
            try:
                ends = await reader.end_offsets(partitions)
            except KafkaError as error:
                log.warning("ends_unknown", extra={"error": repr(error)})
            else:
                # With what is in open transactions: the consumer, which reads committed records, takes their beginning for the end.
                self.show({tp: max(end, reader.highwater(tp) or 0) for tp, end in ends.items()}, time.time())
            await asyncio.sleep(_EVERY_S)

    def show(self, ends: Mapping[TopicPartition, int], now: float) -> None:
        """
        Set the metrics by the ends of partitions and the time, in seconds since 1970.

        Time without records is no lag: what comes after it has waited since the last look at most.
        """
        for tp, end in ends.items():
            here = place_of(self._kafka, tp)
            lag = max(0, end - self._stored[here])
            if not lag:
                self._caught_up[here] = now
            since = max(self._newest.get(here, 0) / 1000, self._caught_up.get(here, 0.0)) or self._started
            self._metrics.position.labels(*here).set(self._stored[here])
            self._metrics.lag.labels(*here).set(lag)
            self._metrics.lag_seconds.labels(*here).set(max(0.0, now - since))
