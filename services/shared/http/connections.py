"""
Uvicorn's HTTP protocol with bounds, for what operators and readers ask: on connections, time, headers and requests in a row.

Uvicorn waits for ever for the first byte, and takes headers and requests in a row without end. A thousand connections that say
nothing would take all files that a process may open, its connections to Kafka among them; one that never ends its headers, or
sends requests faster than they are answered, takes its memory.
Ingest has bounds of its own, which know who sends (`services/ingest/connections`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.shared.http.pipelining import PipeliningProtocol

log = logging.getLogger(__name__)
_faults = logging.getLogger(f"{__name__}.faults")
"""What uvicorn says of a connection, but what is the client's fault: each such request would be a line or two."""
_faults.setLevel(logging.ERROR)

MOST = 256
"""A hundred streams of the query API and 64 waiting questions, and as many again; a process may open 1,024 files."""
WITHIN_S = 30.0
_MOST_BYTES = 64 * 1024
"""The most bytes of headers and of what frames chunks. Framing may take as many bytes as the body, on top of this."""
_MOST_PIPELINED = 16
"""Requests that may wait on one connection for the answers to those before them: uvicorn reads on with each answer."""
_TELL_EVERY_S = 60.0
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"content-length: 27\r\n\r\nsend at most 64 KB headers\n"
)


class _TooMany(Exception):
    """Stops the parser."""


class _Bounded(PipeliningProtocol):
    most: ClassVar[int]
    idle: ClassVar[dict[_Bounded, None]]
    """Connections without a complete request, those that have been so for longest first."""
    told_at: ClassVar[float]
    cycle: Any
    _arriving: asyncio.TimerHandle | None = None
    _bytes = 0
    _body_bytes = 0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.logger = _faults

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()
        self.idle[self] = None
        if len(self.connections) > self.most:
            self._tell_full()
            # Where all are at work this is the newcomer itself. It gives way once: many may come before it is told of its end.
            first = next(iter(self.idle))
            del self.idle[first]
            first.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._expect()
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > _MOST_BYTES + 2 * self._body_bytes and not self.transport.is_closing():
            if not self._at_work():
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MOST_PIPELINED:
            self.transport.abort()
            raise _TooMany
        self._expect()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.headers = []  # for the trailers: a proxy that sets or removes a header has not looked at these

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._bytes = self._body_bytes = 0
        self._arrived()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if not self.pipeline:
            self.idle[self] = None
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def _expect(self) -> None:
        if self._arriving is None:
            self._arriving = self.loop.call_later(self.within_s, self._late)

    def _arrived(self) -> None:
        self.idle.pop(self, None)
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _late(self) -> None:
        self._arriving = None
        if not self._at_work() or self in self.idle:
            self.transport.abort()

    def _at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _tell_full(self) -> None:
        kind, now = type(self), self.loop.time()
        if now >= kind.told_at + _TELL_EVERY_S:
            kind.told_at = now
            log.warning("http_connections_full", extra={"most": self.most, "idle": len(self.idle)})


def bounded(most: int = MOST, within_s: float = WITHIN_S) -> type[HttpToolsProtocol]:
    """
    Return the protocol class of one server.

    Args:
        most: Connections. One more closes the one that has been without a complete request for longest, itself if there is none.
        within_s: Seconds within which a request has to arrive, and something of an answer to be read.
    """

    class Bounded(_Bounded):
        pass

    Bounded.most, Bounded.within_s, Bounded.idle, Bounded.told_at = most, within_s, {}, float("-inf")
    return Bounded
