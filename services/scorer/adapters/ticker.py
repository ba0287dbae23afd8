"""
The live ticker: once a second it appends the time to each partition whose lane this worker owns.

It is silent for lanes whose clock a driver moves. After a downtime it walks forward in steps of at most 24 hours,
so that no step looks like a broken clock, each day is closed in turn and what lies between is not skipped. It
compares its own clock with the broker's append time on every acknowledgement and, 60 seconds apart, stops for
good and says so: log time would otherwise follow a wrong clock, and never comes back. An append time between the
sending and the acknowledgement is right, however long that took: brokers are away for minutes, machines sleep.

Ticks go through an idempotent producer, outside of any transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas import codec
from services.scorer.adapters.core import ScorerCore
from services.scorer.adapters.metrics import ScorerMetrics
from services.scorer.domain.units import DAY_MS
from services.shared.errors import Fatal

log = logging.getLogger(__name__)

EVERY_S = 1.0
DRIFT_MS = 60_000
STEP_MS = DAY_MS
GIVE_UP_S = 60.0

_encode = codec.encoder("tick")


class Appended(Protocol):
    """What the ticker reads of an acknowledgement."""

    @property
    def timestamp(self) -> int:
        """When the broker appended the record, milliseconds since 1970 UTC."""


class OpenLane(Protocol):
    """What the ticker sees of a lane."""

    @property
    def core(self) -> object:
        """The lane's core."""


def steps(log_time: int, now: int) -> list[int]:
    """Return the ticks that take a lane from its log time to now, at most 24 hours apart; a new lane starts at now."""
    if log_time <= 0:
        return [now]
    walked = list(range(log_time + STEP_MS, now, STEP_MS))
    return [*walked, now] if now > log_time else walked


class Ticker:
    """Tick the open lanes of one worker."""

    def __init__(
        self, lanes: Callable[[], Mapping[int, OpenLane]], producer: AIOKafkaProducer, topic: str, metrics: ScorerMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """
        Make a ticker.

        Args:
            lanes: Returns the lanes that are open now, by partition.
            producer: Started, idempotent.
            topic: Full name of usage-events.
            metrics: Told of ticks and drift.
            clock: Seconds since 1970 UTC.
        """
        self._lanes = lanes
        self._producer = producer
        self._topic = topic
        self._metrics = metrics
        self._clock = clock
        self._sent: dict[int, int] = {}
        self.stopped = False

    async def run(self) -> None:
        """
        Tick until cancelled, or until the clock is found wrong.

        Raises:
            Fatal: no tick has gone out for a minute, each with an error: a producer that failed once stays useless.
        """
        failing_since: float | None = None
        while not self.stopped:
            began = self._clock()
            try:
                await self.tick()
            except (KafkaError, OSError) as error:
                log.warning("tick_failed", extra={"error": str(error)})
                failing_since = began if failing_since is None else failing_since
                if began - failing_since >= GIVE_UP_S:
                    raise Fatal(f"ticks have failed for {GIVE_UP_S:.0f} s, last: {error!r}") from error
            else:
                failing_since = None
            await asyncio.sleep(max(0.05, EVERY_S - (self._clock() - began)))

    async def tick(self) -> None:
        """Append one tick, or the steps that are missing, to each lane that is live."""
        now = int(self._clock() * 1000)
        lanes = self._lanes()
        self._sent = {partition: at for partition, at in self._sent.items() if partition in lanes}
        waiting: list[tuple[int, Awaitable[Appended]]] = []
        for partition, lane in sorted(lanes.items()):
            core = lane.core
            if not isinstance(core, ScorerCore) or core.driven:
                self._sent.pop(partition, None)
                continue
            for at in steps(max(core.log_time, self._sent.get(partition, 0)), now):
                value = _encode({"at": at, "epoch": 0})
                sent_ms = int(self._clock() * 1000)
                waiting.append((sent_ms, await self._producer.send(self._topic, value=value, partition=partition)))
                self._sent[partition] = at
        for sent_ms, acknowledgement in waiting:
            self._compare(sent_ms, (await acknowledgement).timestamp)
            self._metrics.ticks.inc()

    def _compare(self, sent_ms: int, appended_ms: int) -> None:
        acknowledged_ms = int(self._clock() * 1000)
        drift = max(0, sent_ms - appended_ms) + min(0, acknowledged_ms - appended_ms)
        self._metrics.clock_drift.set(drift / 1000)
        if abs(drift) >= DRIFT_MS and not self.stopped:
            self.stopped = True
            self._metrics.ticker_stopped.set(1)
            log.critical(
                "ticker_stopped",
                extra={
                    "drift_s": drift / 1000,
                    "detail": "this machine's clock and the broker's are 60 s apart: set both, then restart",
                },
            )
