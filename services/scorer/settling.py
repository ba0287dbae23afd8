"""
Finding out up to when all lanes of attribution, of whatever worker, have read the log: nothing expires before.

What resolves an event may be in another partition, in a lane that lags: a `group` call of the id under which its user was
known before. So the time at which the log was asked for its ends counts only once all of it up to there, and what followed
from it, has been read. Ticks carry it into the log, so that lanes expire by what they read, and a replay does the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from aiokafka.errors import KafkaError

from services.scorer.attribution_processor import AttributionProcessor
from services.scorer.ticker import OpenLane
from services.shared.errors import TidemarkError

log = logging.getLogger(__name__)

LOOK_S = 5.0
SETTLED_WITHIN_S = 600.0
"""After this while the ends are asked for anew: a lane that catches up for hours would be waited for at old ones."""
ASK_EVERY_S = 1.0


class Settling:
    """For the lanes of one worker; `at` is the time that was found last, milliseconds since 1970 UTC, 0: none yet."""

    def __init__(
        self,
        lanes: Callable[[], Mapping[int, OpenLane]],
        settle: Callable[[], Awaitable[None]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """
        Make one.

        Args:
            lanes: Returns the lanes of usage-unattributed that are open now, by partition.
            settle: Returns once everything that is on the topic when it is called, and what follows from it, has been read.
            wall: Seconds since 1970 UTC.
        """
        self._lanes = lanes
        self._settle = settle
        self._wall = wall
        self.at = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Find out a later time, if something in a lane waits for one."""
        processors = [lane.processor for lane in self._lanes().values()]
        lanes = [processor for processor in processors if isinstance(processor, AttributionProcessor)]
        wanted = max((lane.overdue or 0 for lane in lanes), default=0)
        self.at = min(self.at, self._now_ms())  # found while the clock was ahead, it says more than was asked
        if wanted > self.at:
            await self._ask()
        for lane in lanes:
            lane.settled = self.at

    async def _ask(self) -> None:
        now_ms = self._now_ms()
        try:
            await self._settle()
        except (TidemarkError, KafkaError, OSError, TimeoutError) as error:
            log.warning("attribution_not_settled", extra={"error": str(error)})
            return
        self.at = max(self.at, now_ms)

    def _now_ms(self) -> int:
        return int(self._wall() * 1000)
