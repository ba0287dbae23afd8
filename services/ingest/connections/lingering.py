"""
Close a connection such that the client can read its answer, and send an answer in one packet.

A socket that is closed while the client is still sending is reset, and a reset discards what the client has not yet
read, the answer included. So our side is closed first, and what still comes goes by for a while.

Uvicorn writes the head of an answer and its body apart. The head waits for the body, which nearly always follows at
once: one system call and one packet instead of two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

_LINGER_S = 2.0
_LINGER_BYTES = 1024 * 1024
_HEAD, _CONTINUE = b"HTTP/1.1 ", b"HTTP/1.1 100 "


class LingeringTransport:
    """The transport of a connection, as uvicorn uses it; `close` lingers while the client owes bytes."""

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop, owes: Callable[[], bool]) -> None:
        """Take `owes`, which returns whether the client may still be sending."""
        self._transport = transport
        self._loop = loop
        self._owes = owes
        self._timer: asyncio.TimerHandle | None = None
        self._discarded = 0
        self._head = b""
        self.resume_reading = transport.resume_reading
        self.pause_reading = transport.pause_reading
        self.get_extra_info = transport.get_extra_info
        self.lingering = False

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self.lingering or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write; the head of an answer waits for what follows it, at most until the event loop turns."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_HEAD) and not data.startswith(_CONTINUE):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Close, at once or once the client has had time to read."""
        if self.is_closing():
            return
        self._flush()
        if not (self._owes() and self._transport.can_write_eof()):
            self._transport.close()
            return
        self.lingering = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self.write = self.pause_reading = self.resume_reading = _ignore  # type: ignore[assignment,method-assign]
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
