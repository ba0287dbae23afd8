"""
One owner of a lane at a time: a writer fences the former owner when it starts, and is fenced by the next.

A writer that started after a rebalance had given the lane away would fence the new owner and end its process. So none is
started between a revocation and the assignment that follows it, and a rebalance waits for one that is starting.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from services.shared.engine.errors import FailStop
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.lane.ports import Writer

_FENCE_WITHIN_S = 5.0
"""How long a rebalance waits for a writer that is just starting, before it gives that up."""
_ANSWER_WITHIN_S = 10.0
"""A writer starts in milliseconds; after this it is said what it waits for, and it waits on: aiokafka asks again by itself."""


class Ownership:
    """The writer of one lane; another after each `claim`."""

    def __init__(self, new_writer: Callable[[], Writer]) -> None:
        """Nothing is fenced before the first `claim`."""
        self.doubted = False
        """Whether another may have claimed the lane since; `claim` and `holds` settle it."""
        self.spoke_at = time.monotonic()
        """When its writer last had an answer of the coordinator, by the monotonic clock."""
        self._new_writer = new_writer
        self._writer: Writer | None = None
        self._starting: asyncio.Task[None] | None = None
        self._began = 0.0

    @property
    def unanswered(self) -> str | None:
        """What a writer that is starting has waited for too long; None while it has not."""
        waited_s = 0.0 if self._starting is None else time.monotonic() - self._began
        if waited_s < _ANSWER_WITHIN_S:
            return None
        return f"for {waited_s:.0f} s the coordinator of its transactions has not answered, or could not end the former owner's"

    async def claim(self, allowed: Callable[[], Awaitable[None]]) -> None:
        """Fence every former owner by a new writer, once `allowed` returns; it is asked again after a `give_way`."""
        while True:
            await self.close()
            await allowed()
            self._writer = self._new_writer()
            self._began = time.monotonic()
            self._starting = starting = asyncio.create_task(self._writer.start())
            try:
                await asyncio.wait([starting])
            finally:
                self._starting = None
                starting.cancel()
            if not starting.cancelled():
                starting.result()
                self.doubted = False
                self.spoke_at = time.monotonic()
                return

    async def give_way(self) -> None:
        """Return when no writer is starting: it has started, or was given up after a few seconds."""
        if self._starting is not None:
            _, late = await asyncio.wait([self._starting], timeout=_FENCE_WITHIN_S)
            for task in late:
                task.cancel()

    async def write(self, transaction: Transaction) -> None:
        """
        Commit a transaction.

        Raises:
            FailStop: nothing was ever claimed.
        """
        if self._writer is None:
            raise FailStop("a lane without a writer was asked to commit")
        await self._writer.write(transaction)
        self.spoke_at = time.monotonic()

    async def still_owns(self, transaction: Transaction) -> bool:
        """Return whether nobody has claimed the lane since; the transaction is empty, at the last position committed."""
        owned = self._writer is not None and await self._writer.still_owns(transaction)
        self.doubted = not owned
        self.spoke_at = time.monotonic()
        return owned

    async def close(self) -> None:
        """Give back what the writer holds."""
        if self._writer is not None:
            await self._writer.close()
