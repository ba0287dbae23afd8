"""
Close a connection such that the client can read its answer.

A socket that is closed while the client is still sending is reset, and a reset discards what the client has not yet
read, the answer included. So our side is closed first, and what still comes goes by for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

_LINGER_S = 2.0
_LINGER_BYTES = 1024 * 1024


class LingeringTransport:
    """The transport of a connection, as uvicorn uses it; `close` lingers while the client owes bytes."""

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop, owes: Callable[[], bool]) -> None:
        """Take `owes`, which returns whether the client may still be sending."""
        self._transport = transport
        self._loop = loop
        self._owes = owes
        self._timer: asyncio.TimerHandle | None = None
        self._discarded = 0
        self.write = transport.write
        self.resume_reading = transport.resume_reading
        self.pause_reading = transport.pause_reading
        self.get_extra_info = transport.get_extra_info
        self.lingering = False

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self.lingering or self._transport.is_closing()

    def close(self) -> None:
        """Close, at once or once the client has had time to read."""
        if self.is_closing():
            return
        if not (self._owes() and self._transport.can_write_eof()):
            self._transport.close()
            return
        self.lingering = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self.write = self.pause_reading = self.resume_reading = _ignore
        self._timer = self._loop.call_later(_LINGER_S, self._transport.close)

    def close_now(self) -> None:
        """Close whatever the client does: a plain close waits until it has read what was written."""
        self._transport.abort()

    def discard(self, data: bytes) -> None:
        """Let bytes go by, up to a number of them."""
        self._discarded += len(data)
        if self.lingering and self._discarded > _LINGER_BYTES:
            self._transport.close()

    def lost(self) -> None:
        """Called once the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()


def _ignore(*_: object) -> None:
    """Do nothing more with this transport."""
