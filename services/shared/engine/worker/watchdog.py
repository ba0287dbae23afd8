"""
Notice that a worker does not move, when nothing has failed.

Faust's own detectors compare clocks of two kinds and only log. This one knows three things apart from the fetches: how
far each source reaches (asked by a client of its own), how far each lane has folded, and when the consumer last polled.
A lane that has work and does not move, an end that nobody can tell, a transaction that stays open before what a lane
would read next, and a consumer that has fallen silent turn readiness red and show as stalled lanes.

The process ends only where a new one may do better: the cluster has answered this process for twice the patience, and
for as long a lane or the consumer has stood still, and no quota has made the consumer wait. While Kafka is away, one partition
has no leader or a transaction is open, a restart would heal nothing and cost the other lanes their state.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from services.shared.engine.errors import FailStop
from services.shared.engine.faust_seam.app import TP, App, consumer_of
from services.shared.engine.kafka.ends import Ends
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker.lanes import Lanes
from services.shared.kafka.partition import TopicPartition

_EVERY_S = 1.0
_ASK_EVERY_S = 10.0
_AWAY_S = 5.0
"""A loop that wakes so late was frozen, with its clock running on: what it has not seen it does not count."""


class Watchdog:
    """Observe the lanes once a second."""

    def __init__(
        self, app: App, lanes: Lanes, metrics: EngineMetrics, settings: EngineSettings, ends: Ends,
        tp: Callable[[TopicPartition], TP], fail: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        """Take what to observe, how lanes are named on the cluster, and what to call at the end of patience."""
        self._app = app
        self._lanes = lanes
        self._metrics = metrics
        self._settings = settings
        self._ends = ends
        self._tp = tp
        self._fail = fail
        self._ask_every_s = min(_ASK_EVERY_S, settings.stall_s / 4)
        self._alive_at = time.monotonic()
        self._rebalancing_since: float | None = None

    async def run(self) -> None:
        """Observe until cancelled."""
        asking = asyncio.create_task(self._ask())
        try:
            while True:
                before = time.monotonic()
                await asyncio.sleep(_EVERY_S)
                late = max(0.0, time.monotonic() - before - _EVERY_S)
                self._metrics.loop_lag_seconds.set(late)
                if late > _AWAY_S:
                    self._ends.doubt()
                else:  # lanes of a process that was away may be another's by now: the group tells it in a moment
                    self._lanes.keep()
                if asking.done():
                    asking.result()
                self.look()
        finally:
            asking.cancel()
            await asyncio.wait([asking])
            await self._ends.close()

    def look(self) -> None:
        """Refresh the gauges; end the process if it has stood still for too long and a new one may not."""
        silent = self._silent()
        stalled = self._lanes.observe(self._known, time.time(), silent, self._written)
        self._lanes.stop_damaged(lambda lane: consumer_of(self._app).damaged(self._tp(lane)))
        given = time.monotonic() - consumer_of(self._app).throttled_until
        if min(max(stalled, silent), self._ends.reached_for(), given) > 2 * self._settings.stall_s:
            what = "the consumer has not polled" if silent >= stalled else "a lane with records to fold has not moved"
            self._fail(FailStop(f"{what} for {max(stalled, silent):.0f} s while the cluster answers"))

    def _silent(self) -> float:
        """Return for how many seconds the consumer has not polled though it should; joining may take its time."""
        now = time.monotonic()
        consumer = consumer_of(self._app)
        if self._lanes.joined and consumer.flow_active and not self._app.rebalancing:
            self._rebalancing_since = None
        else:
            self._rebalancing_since = self._rebalancing_since or now
            if now - self._rebalancing_since <= self._app.conf.broker_rebalance_timeout:
                self._alive_at = now
        self._alive_at = max(self._alive_at, consumer.polled_at)
        return now - self._alive_at

    def _known(self, lane: TopicPartition) -> tuple[int, int] | None:
        """Return how far a partition is read and where it ends; a fetcher that is stuck does not know the latter."""
        consumer, tp = consumer_of(self._app), self._tp(lane)
        covered, end = consumer.covered(tp), self._ends.end(tp, 3 * self._ask_every_s)
        if covered is None or end is None:
            return None
        return covered, max(end, consumer.end(tp) or 0)

    def _written(self, lane: TopicPartition) -> int | None:
        return consumer_of(self._app).written(self._tp(lane))

    async def _ask(self) -> None:
        """Ask for the ends again and again; at once for lanes that have just come."""
        asked_at = -self._ask_every_s
        asked: set[TP] = set()
        while True:
            mine = {self._tp((topic, p)) for topic in self._lanes.specs for p in self._lanes.of(topic)}
            if mine - asked or time.monotonic() - asked_at >= self._ask_every_s:
                asked_at, asked = time.monotonic(), mine
                # A worker without partitions asks too: whether the cluster answers is worth knowing.
                await self._ends.ask(mine or {self._tp((topic, 0)) for topic in self._lanes.specs})
            await asyncio.sleep(min(_EVERY_S, self._ask_every_s))
