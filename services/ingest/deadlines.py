"""
Uvicorn's HTTP protocol with deadlines: a connection that never finishes its request is closed.

Uvicorn limits only the pause between two requests. A client that vanished half way, or one that sends a byte now and
then, would keep its connection and its buffer for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TIMED_OUT = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'content-length: 103\r\n\r\n{"success":false,"code":"request_timeout","field":"","message":"the request did not'
    b' arrive in full"}     '
)
_MAX_HEADER_BYTES = 64 * 1024


def protocol(request_timeout_s: float) -> type[HttpToolsProtocol]:
    """Return the protocol class for uvicorn; a request must arrive in full within `request_timeout_s`."""

    class DeadlineProtocol(HttpToolsProtocol):
        """Starts a timer with the connection and with each incomplete request; stops it when one is complete."""

        _deadline: asyncio.TimerHandle | None = None
        _complete = False
        _in_headers = False
        _header_bytes = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._deadline = self.loop.call_later(request_timeout_s, self._expire)

        def data_received(self, data: bytes) -> None:
            self._complete = False
            super().data_received(data)
            if self._complete:
                return
            if self._deadline is None:
                self._deadline = self.loop.call_later(request_timeout_s, self._expire)
            if self._in_headers:
                self._header_bytes += len(data)
                if self._header_bytes > _MAX_HEADER_BYTES:
                    self.transport.close()

        def on_message_begin(self) -> None:
            self._complete = False
            self._in_headers = True
            self._header_bytes = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_headers = False
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._complete = True
            self._stop()
            super().on_message_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _answering(self) -> bool:
            cycle: Any = self.cycle  # None before the first request, whatever its type says
            return cycle is not None and not cycle.response_complete

        def _stop(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _expire(self) -> None:
            self._deadline = None
            if self.transport.is_closing():
                return
            if not (self._answering() and self.cycle.response_started):
                self.transport.write(_TIMED_OUT)
            self.transport.close()

    return DeadlineProtocol
