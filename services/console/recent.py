"""Answers that may be half a minute old: pictures of everything, which are dear to make and slow to change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

KEPT_S = 30.0
_MOST = 50

Told = dict[str, Any]


class Recent:
    """Answers by question. Those who ask the same at the same time wait for one answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, asyncio.Future[Told]]] = {}

    async def get(self, question: str, ask: Callable[[], Awaitable[Told]]) -> Told:
        """
        Return the answer to a question, asked anew where the last one is too old.

        Raises:
            ApiError: as `ask` does; a refusal is not kept.
        """
        until, kept = self._kept.get(question, (0.0, None))
        if kept is None or self._clock() >= until:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            kept = asyncio.ensure_future(ask())
            self._kept[question] = (self._clock() + KEPT_S, kept)
            kept.add_done_callback(lambda done: self._forget_refusal(question, done))
        # A reader who leaves must not take the answer away from the others.
        return await asyncio.shield(kept)

    def _forget_refusal(self, question: str, done: asyncio.Future[Told]) -> None:
        if (done.cancelled() or done.exception() is not None) and self._kept.get(question, (0, None))[1] is done:
            del self._kept[question]
