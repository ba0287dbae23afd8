"""Uvicorn's HTTP protocol, as far as requests in a row go wrong in it: who is answered, and who does not read the answers."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PipeliningProtocol(HttpToolsProtocol):
    """Knows the request that is being answered, and ends a connection whose client lets its answers lie."""

    within_s: ClassVar[float]
    """Seconds within which a request has to arrive, and something of an answer to be read."""
    transport: Any
    _running: Any = None
    """The cycle that is being answered, or was last; uvicorn's `cycle` is the newest."""
    _unread: asyncio.TimerHandle | None = None
    """Runs while the client does not read its answers."""

    def pause_writing(self) -> None:
        """Begin to wait until something of an answer is read."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.within_s, self._not_read)

    def resume_writing(self) -> None:
        """Wait no more: the client reads."""
        super().resume_writing()
        self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the cycle that is being answered; uvicorn tells only the newest."""
        self._read()
        if self._answering():
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _not_read(self) -> None:
        """Called when a client has let an answer lie for too long: it would hold its place for ever."""
        self.transport.abort()

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
