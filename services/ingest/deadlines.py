"""
Uvicorn's HTTP protocol with bounds: on time, headers, URL, chunks, requests in a row and connections.

Uvicorn limits only the pause between two requests. A client that vanished half way, or one that sends a byte now and
then, would keep its connection and its buffer for ever; headers without end, a chunk for each byte, or thousands of
requests in one packet cost far more to take apart than to send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

KEEP = "tidemark.keep"
"""Extension of the ASGI scope: a function that spares the connection while its request is worked on."""
_MAX_HEADER_BYTES = 64 * 1024
_MAX_HEADERS = 100
_MAX_URL_BYTES = 8 * 1024
_MAX_PIPELINED = 16
_FREE_CHUNKS = 1_000
_MIN_CHUNK_BYTES = 64
"""That chunks have on average, once there are many."""
_LINGER_S = 2.0


def _canned(status: str, code: str, message: str, *headers: str) -> bytes:
    body = f'{{"success":false,"code":"{code}","field":"","message":"{message}"}}'
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", "connection: close", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", body]).encode()


_TIMED_OUT = _canned("408 Request Timeout", "request_timeout", "the request did not arrive in full")
_HEADERS = _canned("431 Request Header Fields Too Large", "headers_too_large", "send at most 100 headers, 64 KB")
_URL = _canned("414 URI Too Long", "url_too_long", "send a URL of at most 8 KB")
_CHUNKS = _canned("400 Bad Request", "malformed_body", "the chunks of the body are too small; send larger ones")
_FULL = _canned(
    "429 Too Many Requests",
    "overloaded",
    "too many connections; nothing is lost, send it again later",
    "retry-after: 5",
    "x-ratelimit-reset: 5",
)


class _Refused(Exception):
    """Stops the parser where a bound is passed."""


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """What the connections of one server share."""

    request_timeout_s: float
    max_connections: int
    closed: Callable[[str], None]
    spare: dict[_DeadlineProtocol, None] = field(default_factory=dict)
    """Connections without a known key or a request that is worked on, the oldest first."""


class _DeadlineProtocol(HttpToolsProtocol):
    """Starts a timer with the connection and with each incomplete request; stops it when one is complete."""

    bounds: ClassVar[ConnectionBounds]
    _deadline: asyncio.TimerHandle | None = None
    _complete = False
    _in_headers = False
    _wire_bytes = 0
    _header_bytes = 0
    _chunks = 0
    _body_bytes = 0
    _refusal: bytes | None = None
    _deaf = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.bounds.max_connections:
            self.bounds.closed("full")
            if not self.bounds.spare:
                self._refuse_at_once(_FULL)
                return
            oldest = next(iter(self.bounds.spare))
            del self.bounds.spare[oldest]
            oldest.transport.close()
        self.bounds.spare[self] = None
        self._deadline = self.loop.call_later(self.bounds.request_timeout_s, self._expire)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._complete = False
        super().data_received(data)
        if self._complete or self._deaf:
            return
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.bounds.request_timeout_s, self._expire)
        if self._in_headers:
            self._wire_bytes += len(data)
            if self._wire_bytes > _MAX_HEADER_BYTES:
                self.bounds.closed("headers")
                self._refuse_at_once(_HEADERS)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._refuse("pipelined", b"")
        self._complete = False
        self._in_headers = True
        self._wire_bytes = self._header_bytes = self._chunks = self._body_bytes = 0
        super().on_message_begin()
        self.scope["extensions"] = {KEEP: self._keep}  # type: ignore[dict-item]

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > _MAX_URL_BYTES:
            self._refuse("url", _URL)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _MAX_HEADER_BYTES or len(self.headers) >= _MAX_HEADERS:
            self._refuse("headers", _HEADERS)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._chunks += 1
        self._body_bytes += len(body)
        if self._chunks > _FREE_CHUNKS + self._body_bytes // _MIN_CHUNK_BYTES:
            self._refuse("chunks", _CHUNKS)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._complete = True
        self._stop()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.bounds.spare[self] = None
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.bounds.spare.pop(self, None)
        self._stop()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio allows
        """Called when the client will send no more: a request that is complete gets its answer all the same."""
        if not (self._complete and self._answering()):
            return False
        newest = self.pipeline[0][0] if self.pipeline else self.cycle
        newest.keep_alive = False
        return True

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn when the parser has stopped: answer what stopped it."""
        if self._refusal is None:
            super().send_400_response(msg)
        elif self._refusal:
            self._refuse_at_once(self._refusal)
        else:
            # Requests are waiting: they are answered, the last of them with `connection: close`.
            self._deaf = True
            self.pipeline[0][0].keep_alive = False

    def _keep(self) -> None:
        self.bounds.spare.pop(self, None)

    def _refuse(self, why: str, answer: bytes) -> None:
        if self._refusal is None:
            self.bounds.closed(why)
            self._refusal = answer
        raise _Refused

    def _refuse_at_once(self, answer: bytes) -> None:
        """Answer, then listen no more: at once self.bounds.closed, the client might see an error of the network instead."""
        self._stop()
        self._deaf = True
        if self._answering():
            if self.cycle.response_started:
                self.transport.close()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(answer)
        self._deadline = self.loop.call_later(_LINGER_S, self.transport.close)

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
        self.bounds.closed("timeout")
        if not (self._answering() and self.cycle.response_started):
            self.transport.write(_TIMED_OUT)
        self.transport.close()


def protocol(
    request_timeout_s: float, max_connections: int, closed: Callable[[str], None] = lambda _why: None
) -> type[HttpToolsProtocol]:
    """
    Return the protocol class for uvicorn.

    Args:
        request_timeout_s: Seconds within which a request must arrive in full.
        max_connections: Beyond it a new connection takes the place of the one that has been without a known key for
            the longest, idle ones included.
        closed: Called with a word that says why, for each connection that a bound closes.
    """

    class Bounded(_DeadlineProtocol):
        bounds = ConnectionBounds(request_timeout_s, max_connections, closed)

    return Bounded
