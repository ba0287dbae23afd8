"""
Notice that a worker does not move, when nothing has failed.

Faust's own detectors compare clocks of two kinds and only log. This one asks the broker how far each source reaches,
apart from the fetches, and compares with what the lanes have folded: a lane that has work and does not move turns
readiness red, and after twice that time the process ends, since a new one may do better.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import faust
from faust.types import TP

from services.shared.engine.app import consumer_of
from services.shared.engine.errors import FailStop
from services.shared.engine.lanes import Home, Lanes
from services.shared.engine.metrics import EngineMetrics
from services.shared.engine.settings import EngineSettings

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_ASK_EVERY = 10
_ASK_WITHIN_S = 5.0


class Watchdog:
    """Observe the lanes once a second."""

    def __init__(
        self, app: faust.App, lanes: Lanes, metrics: EngineMetrics, settings: EngineSettings,
        tp: Callable[[Home], TP], fail: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        """Take what to observe, how lanes are named on the cluster, and what to call at the end of patience."""
        self._app = app
        self._lanes = lanes
        self._metrics = metrics
        self._settings = settings
        self._tp = tp
        self._fail = fail
        self._asked: dict[TP, int] = {}

    async def run(self) -> None:
        """Observe until cancelled."""
        round_ = 0
        while True:
            before = time.monotonic()
            await asyncio.sleep(_EVERY_S)
            self._metrics.loop_lag_seconds.set(max(0.0, time.monotonic() - before - _EVERY_S))
            round_ += 1
            if self._lanes.joined:
                if round_ % _ASK_EVERY == 0:
                    await self._ask()
                self.look()

    def look(self) -> None:
        """Refresh the gauges; end the process if a lane has not moved for too long."""
        stalled = self._lanes.observe(self._known, time.time())
        if stalled > 2 * self._settings.stall_s:
            self._fail(FailStop(f"a lane with records to fold has not moved for {stalled:.0f} s"))

    def _known(self, home: Home) -> tuple[int, int] | None:
        consumer = consumer_of(self._app)
        tp = self._tp(home)
        covered, end = consumer.covered(tp), consumer.end(tp)
        if covered is None:
            return None
        return covered, max(end or 0, self._asked.get(tp, 0))

    async def _ask(self) -> None:
        """Ask the broker for the ends: a fetcher that is stuck does not learn of new records."""
        mine = [self._tp((topic, partition)) for topic in self._lanes.specs for partition in self._lanes.of(topic)]
        if not mine:
            return
        try:
            async with asyncio.timeout(_ASK_WITHIN_S):
                self._asked = dict(await consumer_of(self._app).highwaters(*mine))
        except Exception as error:  # noqa: BLE001 - a broker that is away is seen by others
            log.warning("ends_unknown", extra={"error": repr(error)})
