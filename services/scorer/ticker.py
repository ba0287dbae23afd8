"""
The live ticker: it appends the time to the partitions whose lanes this worker owns, when something is due there.

When that is, `pace` decides for each lane; lanes whose clock a driver moves get none. Each lane has a tick of its own on
its way, at most one, so a partition that does not acknowledge delays no other clock (`tick_sender`). A wrong clock of
this machine is harmless, since a lane believes the smaller of a tick's time and its append time; how far the clocks are
apart is shown on every acknowledgement. A tick that fails is counted, logged, and followed by the next one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from aiokafka.errors import KafkaError

from schemas import codec
from services.scorer.metrics import ScorerMetrics
from services.scorer.pace import Clocked, Pace
from services.scorer.tick_sender import TickSender
from services.shared.kafka.clocks import apart_ms

log = logging.getLogger(__name__)

LOOK_S = 0.25

_encode = codec.encoder("tick")


class OpenLane(Protocol):
    """What the ticker sees of a lane."""

    @property
    def processor(self) -> object:
        """The lane's processor."""


class Ticker:
    """Tick the open lanes of one worker."""

    def __init__(
        self, lanes: Callable[[], Mapping[int, OpenLane]], sender: TickSender, metrics: ScorerMetrics,
        wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic, *, watched: bool = True,
        settled: Callable[[], int] = lambda: 0,
    ) -> None:  # fmt: skip
        """
        Make a ticker.

        Args:
            lanes: Returns the lanes that are open now, by partition.
            sender: Appends the ticks.
            metrics: Told of ticks, clocks apart, and lanes that are driven or wait.
            wall: Seconds since 1970 UTC.
            monotonic: Seconds that never jump.
            watched: Whether `metrics` show of each lane who moves its clock; lanes of one topic alone do.
            settled: Returns up to when all lanes of the topic are known to have read it, milliseconds since 1970 UTC.
        """
        self._lanes = lanes
        self._sender = sender
        self._metrics = metrics
        self._wall = wall
        self._monotonic = monotonic
        self._watched = watched
        self._settled = settled
        self._paces: dict[int, Pace] = {}
        self._on_their_way: dict[int, asyncio.Task[None]] = {}
        self._seen: set[int] = set()

    async def run(self) -> None:
        """Tick until cancelled; what is no failure of Kafka is raised."""
        try:
            while True:
                self.look()
                await asyncio.sleep(LOOK_S)
        finally:
            for task in self._on_their_way.values():
                task.cancel()
            if self._on_their_way:
                await asyncio.wait(self._on_their_way.values())
            for partition in self._seen if self._watched else ():
                self._metrics.lane_left(partition)

    def look(self) -> None:
        """Start the ticks that are due now."""
        for partition, task in list(self._on_their_way.items()):
            if task.done():
                del self._on_their_way[partition]
                task.result()
        now_s, wall_ms = self._monotonic(), int(self._wall() * 1000)
        lanes = self._lanes()
        for partition in self._seen - lanes.keys() if self._watched else ():
            self._metrics.lane_left(partition)
        self._seen = set(lanes)
        self._paces = {partition: pace for partition, pace in self._paces.items() if partition in lanes}
        for partition, lane in sorted(lanes.items()):
            processor = lane.processor
            if not isinstance(processor, Clocked):
                continue
            if self._watched:
                self._metrics.lane_looked_at(partition, driven=processor.driven, waiting=processor.waiting is not None)
            if processor.driven:
                self._paces.pop(partition, None)
            elif partition not in self._on_their_way:
                at = self._paces.setdefault(partition, Pace()).next(processor, now_s, wall_ms)
                if at is not None:
                    self._on_their_way[partition] = asyncio.create_task(self._tick(partition, at))

    async def _tick(self, partition: int, at: int) -> None:
        sent_ms = int(self._wall() * 1000)
        try:
            appended = await self._sender.send(partition, _encode({"at": at, "epoch": 0, "settled": self._settled()}))
        except (KafkaError, OSError, TimeoutError) as error:
            self._metrics.ticks_failed.inc()
            log.warning("tick_failed", extra={"partition": partition, "error": repr(error)})
            return
        self._metrics.ticks.inc()
        apart = apart_ms(sent_ms, appended.timestamp_ms, int(self._wall() * 1000))
        self._metrics.clocks_compared(appended.broker, apart / 1000, self._monotonic())
