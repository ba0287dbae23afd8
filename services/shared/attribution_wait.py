"""
Waiting for attribution: until its lanes have read what is on usage-unattributed now, and what follows from it there.

A drive waits before it ticks a day to its end: otherwise the events of the day come after its close, as late ones. The scorer
waits before it lets anything expire, and an operator's tool before it forgets the accounts of aliases.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from services.shared.errors import TidemarkError
from services.shared.kafka.reading import Offsets
from services.shared.kafka.settings import KafkaSettings

ReadPositions = Callable[[KafkaSettings], Awaitable[Mapping[int, int]]]
"""Read the offsets of usage-unattributed that its lanes have committed, by partition."""

ROUNDS = 6
"""A record moves from user to user four times at most; then it is forwarded. Live traffic may never stand still."""


class NotAttributed(TidemarkError):
    """Attribution did not keep up; the message says what to look at."""


class AttributionWait:
    """Waits for the lanes of usage-unattributed, as often as there is something to wait for."""

    def __init__(
        self,
        kafka: KafkaSettings,
        ends: Callable[[], Awaitable[Offsets]],
        read_positions: ReadPositions,
        within_s: float,
        every_s: float = 0.05,
    ) -> None:
        """Take how to ask for the ends of usage-unattributed and for what its lanes have committed, and how often."""
        self._kafka = kafka
        self._ends = ends
        self._read_positions = read_positions
        self._within_s = within_s
        self._every_s = every_s
        self._settled: Offsets = {}
        self._events = -1

    async def day_over(self, events: int) -> None:
        """
        Settle if any of these events, which were sent without an account so far, came since it last did.

        What calls say of users alone moves no event of the day.

        Raises:
            NotAttributed: it was not in time.
        """
        if events != self._events:
            await self.settle()
            self._events = events

    async def settle(self) -> None:
        """
        Return once everything that is on usage-unattributed now, and what follows from it there, has been attributed.

        Raises:
            NotAttributed: it was not in time.
        """
        for _ in range(ROUNDS):
            ends = await self._ends()
            if ends == self._settled:
                return
            await self._past(ends)
            self._settled = ends

    async def _past(self, ends: Mapping[int, int]) -> None:
        deadline = time.monotonic() + self._within_s
        while True:
            positions = await self._read_positions(self._kafka)
            behind = sorted(number for number, end in ends.items() if positions.get(number, 0) < end)
            if not behind:
                return
            if time.monotonic() >= deadline:
                raise NotAttributed(
                    f"partitions {behind} of usage-unattributed were not read in {self._within_s:.0f} s: is the scorer running and "
                    "ready (`tidemark doctor`)? Run the same command again to go on from here."
                )
            await asyncio.sleep(self._every_s)
