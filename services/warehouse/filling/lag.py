"""
How far the store is behind the topics, told each second, above all while it is away.

Of a partition whose end nobody tells, as where it has no leader, the time since it was last known to be stored goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.shared.kafka.settings import KafkaSettings
from services.warehouse.filling.sources import place_of
from services.warehouse.metrics import WarehouseMetrics

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_ANSWER_WITHIN_S = 10.0
_UNKNOWN_S = 60.0


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
        self._known_at: dict[tuple[str, int], float] = {}
        """When the end of a partition was last told."""
        self._started = time.time()

    async def measure(self, reader: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Set the metrics until cancelled."""
        while True:
            ends = await self._ends(reader, partitions)
            # With what is in open transactions: the consumer, which reads committed records, takes their beginning for the end.
            self.show({tp: max(end, reader.highwater(tp) or 0) for tp, end in ends.items()}, time.time())
            await asyncio.sleep(_EVERY_S)

    async def _ends(self, reader: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Ask each leader for the ends of its partitions: one that is away hides no other's."""
        led: dict[int | None, list[TopicPartition]] = defaultdict(list)
        for tp in partitions:
            led[reader._client.cluster.leader_for_partition(tp)].append(tp)  # noqa: SLF001
        told = await asyncio.gather(*(self._told(reader, each) for each in led.values()))
        return {tp: end for each in told for tp, end in each.items()}

    async def _told(self, reader: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return dict(await reader.end_offsets(partitions))
        except (KafkaError, TimeoutError) as error:
            log.warning("ends_unknown", extra={"error": repr(error), "partitions": len(partitions)})
            return {}

    def show(self, ends: Mapping[TopicPartition, int], now: float) -> None:
        """
        Set the metrics by the ends of partitions, as far as they are known, and the time, in seconds since 1970.

        Time without records is no lag: what comes after it has waited since the last look at most.
        """
        known = {place_of(self._kafka, tp): end for tp, end in ends.items()}
        for here, stored in self._stored.items():
            end = known.get(here)
            if end is not None:
                self._known_at[here] = now
                self._metrics.lag.labels(*here).set(max(0, end - stored))
                if end <= stored:
                    self._caught_up[here] = now
            since = max(self._newest.get(here, 0) / 1000, self._caught_up.get(here, 0.0)) or self._started
            self._metrics.position.labels(*here).set(stored)
            self._metrics.lag_seconds.labels(*here).set(max(0.0, now - since))

    def unknown(self, now: float) -> tuple[str, int] | None:
        """Return the first partition whose end nobody has told for a minute, None where there is none."""
        return next(
            (here for here in sorted(self._stored) if now - self._known_at.get(here, self._started) > _UNKNOWN_S), None
        )
