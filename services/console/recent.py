"""Answers that may be some minutes old: pictures of everything, which are dear to make and slow to change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

FRESH_S = 30.0
"""An answer that is older is asked for anew, while its reader has it already."""
STALE_S = 600.0
"""One that is older than this is nobody's answer any more."""
_MOST = 50

Told = dict[str, Any]


@dataclass(slots=True)
class _Kept:
    made_at: float
    tried_at: float
    """When it was last asked for anew."""
    answer: asyncio.Future[Told]
    erasures: str
    """The erasures that were known when it was asked for."""


class Recent:
    """Answers by question. Those who ask the same at the same time wait for one answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._erasures = ""

    def note_erasures(self, mark: str) -> None:
        """Take what an answer says of the erasures that it knows: another mark than before, and nothing older is told any more."""
        if mark != self._erasures:
            self._erasures = mark
            self.forget()

    def forget(self) -> None:
        """Tell nothing older any more: somebody has recorded something, and looks for it."""
        self._kept.clear()

    async def get(self, question: str, ask: Callable[[], Awaitable[Told]]) -> Told:
        """
        Return the answer to a question: the last one, unless that is too old.

        Raises:
            ApiError: as `ask` does; a refusal is not kept.
        """
        kept = self._kept.get(question)
        now = self._clock()
        if kept is None or now - kept.made_at >= STALE_S:
            kept = self._ask(question, ask, None)
        elif now - kept.tried_at >= FRESH_S:
            self._ask(question, ask, kept)
        # A reader who leaves must not take the answer away from the others.
        return await asyncio.shield(kept.answer)

    def _ask(self, question: str, ask: Callable[[], Awaitable[Told]], before: _Kept | None) -> _Kept:
        """Ask anew. As long as there is no answer, `before` is the answer; it is once more where there is a refusal."""
        now = self._clock()
        asked = _Kept(now, now, asyncio.ensure_future(ask()), self._erasures)
        if len(self._kept) >= _MOST:
            self._kept.clear()
        if before is None:
            self._kept[question] = asked
        else:
            before.tried_at = now
        asked.answer.add_done_callback(lambda done: self._answered(question, asked, done))
        return asked

    def _answered(self, question: str, asked: _Kept, done: asyncio.Future[Told]) -> None:
        if not done.cancelled() and done.exception() is None and asked.erasures == self._erasures:
            self._kept[question] = asked
        elif self._kept.get(question) is asked:
            del self._kept[question]
