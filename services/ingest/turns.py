"""
Long work on the event loop in short slices, so that nobody waits for it.

All requests that arrive in one turn of the loop share `_TURN_S` in which they may work at once: ordinary requests are
done within it. Whoever needs more goes on in slices of `_SLICE_S`, one slice a turn of the loop for all of them
together, in rotation. So a turn takes no longer than these two and one step, however many requests need long, and
whoever needs little is done after as many turns. Beyond `SMALL` bytes of text only `large` requests are worked on at a
time; the others wait with nothing but their body in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar

from services.ingest.errors import Overloaded

T = TypeVar("T")

SMALL = 64 * 1024
_TURN_S = 0.010
_SLICE_S = 0.003
_WAITING = 500
_LARGE = 4
"""Requests of over `SMALL` bytes at a time."""
_WAIT_S = 5.0
"""How long one waits to be among them."""
_now = time.perf_counter


class Turns:
    """How the requests of one process share its time."""

    def __init__(self) -> None:
        self.slices = asyncio.Lock()
        self.places = asyncio.Semaphore(_LARGE)
        self._ends = 0.0
        self.waiting = 0

    def begin(self) -> Work:
        """Return what one request works with, and has to `release`."""
        if not self._ends:
            asyncio.get_running_loop().call_soon(self._turned)
            self._ends = _now() + _TURN_S
        return Work(self, self._ends)

    def over(self) -> bool:
        """Return whether this turn of the loop has no time left for work at once."""
        if not self._ends:
            asyncio.get_running_loop().call_soon(self._turned)
            self._ends = _now() + _TURN_S
        return _now() > self._ends

    def _turned(self) -> None:
        self._ends = 0.0


class Work:
    """The work of one request. Not to be used after its end."""

    __slots__ = ("_ends", "_large", "_slicing", "_turns")

    def __init__(self, turns: Turns, ends: float) -> None:
        self._turns = turns
        self._ends = ends
        self._slicing = False
        self._large = False

    def due(self) -> bool:
        """Return whether to `pause` before going on."""
        return _now() > self._ends

    async def pause(self) -> None:
        """
        Let the loop turn, and everybody else who works in slices have one.

        Raises:
            Overloaded: more requests work in slices already than will be done before their senders give up.
        """
        turns = self._turns
        if self._slicing:
            self._slicing = False
            turns.slices.release()
        elif turns.waiting >= _WAITING:
            raise Overloaded("too many requests are being worked on", 2.0)
        turns.waiting += 1
        try:
            await turns.slices.acquire()
        finally:
            turns.waiting -= 1
        self._slicing = True
        await asyncio.sleep(0)
        self._ends = _now() + _SLICE_S

    async def enlarge(self) -> None:
        """
        Wait until a request of over `SMALL` bytes may be worked on; does nothing the second time.

        Raises:
            Overloaded: too many others are before it.
        """
        if self._large:
            return
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._turns.places.acquire()
        except TimeoutError:
            raise Overloaded("too many large requests are being worked on", 2.0) from None
        self._large = True
        await self.pause()

    async def drive(self, steps: Generator[int | None, None, T]) -> T:
        """Return what the steps return, pausing between them when due. A step yields the bytes held so far, if any."""
        while True:
            try:
                size = next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if size is not None and size > SMALL:
                await self.enlarge()
            if self.due():
                await self.pause()

    def release(self) -> None:
        """End the work."""
        if self._slicing:
            self._slicing = False
            self._turns.slices.release()
        if self._large:
            self._large = False
            self._turns.places.release()
