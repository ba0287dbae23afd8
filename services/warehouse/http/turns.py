"""
Whose question is asked next: so many at once as the store has connections, some more wait, the others are told to come back.

Among those who wait, a place goes to the token that has the fewest questions under way, and of those to the one that was
served longest ago. One token never has all places, nor all room to wait. Whoever asks without a token (on this machine, the
console in this process) is one more of them, without these two bounds.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any

from services.shared.errors import Retryable

AT_ONCE = 4
"""Questions that are asked at the same time."""
WAITING = 60
"""Questions that may wait for their turn."""
AT_ONCE_EACH = AT_ONCE - 1
"""The same of one token: a slow question takes 15 s, and nobody else should have to wait for its end."""
WAITING_EACH = WAITING // 2
_COME_BACK_S = 2.0


class Busy(Retryable):
    """Too many questions are waiting."""


class QueryTurns:
    """Who may ask now."""

    def __init__(self) -> None:
        self._free = AT_ONCE
        self._room = AT_ONCE + WAITING
        self._asking: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By token, the one that was served longest ago first."""

    async def take(self, ask: Callable[[], Any], token: str = "") -> Any:
        """
        Return what a blocking call returns, once it is its turn; `token` is the name of the asker's, empty: it has none.

        A client that leaves gives up its place only with the end of the call: a thread cannot be stopped.

        Raises:
            Busy: too many are waiting, or too many of this token.
        """
        if not self._room:
            raise Busy("too many questions are being asked at once", _COME_BACK_S)
        waiting = self._waiting.get(token, ())
        if token and self._asking[token] + len(waiting) >= AT_ONCE_EACH + WAITING_EACH:
            raise Busy(f"too many questions are being asked at once with the token {token}", _COME_BACK_S)
        self._room -= 1
        try:
            await self._turn(token)
        except BaseException:
            self._room += 1
            raise
        task = asyncio.ensure_future(asyncio.to_thread(ask))
        task.add_done_callback(partial(self._over, token))
        return await asyncio.shield(task)

    async def _turn(self, token: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(token, deque()).append(turn)
        self._give()
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it was given in the moment in which its asker left
                self._give_back(token)
            elif turn in (waiting := self._waiting.get(token, deque())):
                waiting.remove(turn)
                if not waiting:
                    del self._waiting[token]
            raise

    def _give(self) -> None:
        while self._free and (token := self._next()) is not None:
            waiting = self._waiting.pop(token)
            turn = waiting.popleft()
            if waiting:
                self._waiting[token] = waiting  # behind the others
            if not turn.cancelled():
                self._free -= 1
                self._asking[token] += 1
                turn.set_result(None)

    def _next(self) -> str | None:
        may = [token for token in self._waiting if not token or self._asking[token] < AT_ONCE_EACH]
        return min(may, key=self._asking.__getitem__, default=None)

    def _give_back(self, token: str) -> None:
        self._free += 1
        self._asking[token] -= 1
        if not self._asking[token]:
            del self._asking[token]
        self._give()

    def _over(self, token: str, task: asyncio.Future[Any]) -> None:
        self._room += 1
        self._give_back(token)
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more
