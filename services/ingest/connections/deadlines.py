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

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.ingest.connections import canned, upgrades
from services.ingest.connections.canned import Canned
from services.ingest.connections.lingering import LingeringTransport
from services.ingest.connections.places import Places
from services.shared.http.pipelining import PipeliningProtocol

KEEP = "tidemark.keep"
"""
Extension of the ASGI scope: a function that spares the connection while its request is worked on, told the source.

Until the request has arrived, the connection only stands in the line of its source.
"""
_MAX_HEADER_BYTES = 64 * 1024
_MAX_HEADERS = 100
_MAX_URL_BYTES = 8 * 1024
_MAX_PIPELINED = 16
_MAX_WAITING_BYTES = 32 * 1024
"""Of the bodies of requests that wait for the answers to those before them: they take no room of `Reception` yet."""
_FREE_CHUNKS = 1_000
_MIN_CHUNK_BYTES = 64
"""That chunks have on average, once there are many."""
_FOR_OPERATORS = frozenset({b"/healthz", b"/readyz", b"/metrics"})
_RESERVE = 64
"""Newcomers beyond the limit: probes are answered there; other requests take somebody's place, or are told to come again."""


class _Refused(Exception):
    """Stops the parser where a bound is passed."""


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """What the connections of one server share."""

    max_connections: int
    closed: Callable[[str], None]
    crowded: Callable[[str], None]
    places: Places[_DeadlineProtocol] = field(default_factory=Places)


class _DeadlineProtocol(PipeliningProtocol):
    """Starts a timer with the connection and with each incomplete request; stops it when one is complete."""

    bounds: ClassVar[ConnectionBounds]
    _deadline: asyncio.TimerHandle | None = None
    _complete = False
    _in_headers = False
    _wire_bytes = 0
    _header_bytes = 0
    _chunks = 0
    _body_bytes = 0
    _waiting_bytes = 0
    _refusal: Canned | None = None
    _deaf = False
    """Whether what comes is no longer looked at."""
    _ended = False
    """Whether the client has closed its side."""
    _receiving: Any = None
    """The cycle of which a body is still to come."""
    _kept: Any = None
    """The cycle whose sender is known."""
    _last: Canned | None = None
    """What is said once everything before it is answered."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(LingeringTransport(transport, self.loop, self._owed))  # type: ignore[arg-type]
        transport.set_write_buffer_limits(high=0)  # so that it is known when anything was not read
        self._deadline = self.loop.call_later(self.within_s, self._expire)
        if not self._crowded():
            self.bounds.places.wait(self)
            return
        first = self.bounds.places.arrive(self, _RESERVE)
        if first is not None:
            first.overtaken()

    def _crowded(self) -> bool:
        """Return whether more than there may be have a place."""
        return len(self.connections) - self.bounds.places.newcomers > self.bounds.max_connections

    def _take_place(self) -> bool:
        """Leave the newcomers for a place, somebody else's if none is free; return whether there is one."""
        places = self.bounds.places
        places.leave(self)
        if self._crowded():
            missed = places.make_way()
            if missed is None:
                return False
            other, source = missed
            self.bounds.closed("full")
            if source:
                self.bounds.crowded(source)
            other.transport.close_now()
        places.wait(self)
        return True

    def overtaken(self) -> None:
        """Called where there are too many newcomers and this is the first of them."""
        if not self._deaf and self._take_place():
            return
        self.bounds.places.leave(self)
        if self._last is not canned.FULL:  # that was counted
            self.bounds.closed("full")
            self.bounds.crowded("")
        self.transport.close_now()

    def data_received(self, data: bytes) -> None:
        if self._deaf or self.transport.lingering:
            self.transport.discard(data)
            return
        self._complete = False
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refused()
        if self._complete or self._deaf:
            return
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.within_s, self._expire)
        if self._in_headers:
            self._wire_bytes += len(data)
            if self._wire_bytes > _MAX_HEADER_BYTES:
                self.bounds.closed("headers")
                self._end(canned.HEADERS)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._refuse("pipelined", None)
        self._complete = False
        self._in_headers = True
        self._wire_bytes = self._header_bytes = self._chunks = self._body_bytes = 0
        super().on_message_begin()
        self.scope["extensions"] = {KEEP: self._keep}  # type: ignore[dict-item]

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > _MAX_URL_BYTES:
            self._refuse("url", canned.URL)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _MAX_HEADER_BYTES or len(self.headers) >= _MAX_HEADERS:
            self._refuse("headers", canned.HEADERS)
        if self._in_headers:  # else it is a trailer: a proxy that sets or removes a header has not looked at it
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        if self.parser.should_upgrade():
            self.scope["method"] = self.parser.get_method().decode()
            return
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            self._refuse("malformed", canned.HOST)
        places = self.bounds.places
        if places.is_new(self) and self.url not in _FOR_OPERATORS and not self._take_place():
            places.arrive(self, _RESERVE)  # where it reads its answer; it fills no more than it just left
            self.bounds.crowded("")
            self._refuse("full", canned.FULL)
        super().on_headers_complete()
        self._receiving = self.cycle

    def on_body(self, body: bytes) -> None:
        self._chunks += 1
        self._body_bytes += len(body)
        if self._chunks > _FREE_CHUNKS + self._body_bytes // _MIN_CHUNK_BYTES:
            self._refuse("chunks", canned.CHUNKS)
        if self._receiving is not self._running:
            self._waiting_bytes += len(body)
            if self._waiting_bytes > _MAX_WAITING_BYTES:
                self._refuse("pipelined", canned.WAITING)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._complete = True
        if self._kept is not None and self._receiving is self._kept:
            self.bounds.places.leave(self)
        self._receiving = None
        self._stop()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if not self.bounds.places.is_new(self):
            self.bounds.places.wait(self)
        self._kept = None
        super().on_response_complete()
        if self._last is not None and not self._answering():
            self._say_last()

    def connection_lost(self, exc: Exception | None) -> None:
        self.bounds.places.leave(self)
        self._stop()
        self.transport.lost()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio allows
        """Called when the client will send no more: what is complete gets its answer all the same."""
        self._ended = self._deaf = True
        if self._last is not None:
            return not self.transport.is_closing()
        if not self._answering() or self._receiving is self._running:
            return False
        if self._receiving is not None:
            self.pipeline.popleft()
        newest = self.pipeline[0][0] if self.pipeline else self._running
        newest.keep_alive = False
        return True

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._waiting_bytes -= len(cycle.body)
        super()._start_asgi_task(cycle, app)

    def _decline(self, rest: bytes) -> None:
        """Go on with HTTP/1.1 where a client offers something else."""
        if self.scope["method"] == "CONNECT":
            self._end(canned.TUNNEL)
            return
        version = self.parser.get_http_version()
        head = upgrades.head_without_offer(self.scope["method"], self.url, version, self.headers)
        self.parser = upgrades.new_parser(self)
        self.data_received(head + rest)

    def _keep(self, source: str) -> None:
        self._kept = self._running
        if self._receiving is self._running:
            self.bounds.places.wait(self, source)
        else:
            self.bounds.places.leave(self)

    def _refuse(self, why: str, answer: Canned | None) -> None:
        self.bounds.closed(why)
        self._refusal = answer
        raise _Refused(why)

    def _refused(self) -> None:
        """Called where the parser has stopped."""
        if self._refusal is not None:
            self._end(self._refusal)
        elif len(self.pipeline) >= _MAX_PIPELINED:
            # They are answered, the last of them with `connection: close`.
            self._deaf = True
            self.pipeline[0][0].keep_alive = False
        else:
            self.bounds.closed("malformed")
            self._end(canned.MALFORMED)

    def _end(self, answer: Canned) -> None:
        """Listen no more, and answer this once everything before it is answered."""
        self._stop()
        self._deaf = True
        broken, self._receiving = self._receiving, None
        if broken is not None and broken is self._running:
            if broken.response_started:
                self.transport.close()
                return
            broken.disconnected = True
            broken.message_event.set()
            self._running = None
        elif broken is not None:
            self.pipeline.popleft()
        self._last = answer
        if not self._answering():
            self._say_last()

    def _say_last(self) -> None:
        assert self._last is not None
        origins = [value for name, value in self.headers or () if name == b"origin"]
        self.transport.write(self._last.encode(origins[0] if origins else b""))
        self.transport.close()

    def _owed(self) -> bool:
        """Return whether the client may still be sending."""
        return not self._ended and (self._deaf or self._in_headers or self._receiving is not None)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _not_read(self) -> None:
        self.bounds.closed("unread")
        self.transport.close_now()

    def _expire(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        self.bounds.closed("timeout")
        self._end(canned.TIMED_OUT)


def protocol(
    request_timeout_s: float,
    max_connections: int,
    closed: Callable[[str], None] = lambda _why: None,
    crowded: Callable[[str], None] = lambda _source: None,
) -> type[HttpToolsProtocol]:
    """
    Return the protocol class for uvicorn.

    Args:
        request_timeout_s: Seconds within which a request must arrive in full.
        max_connections: Beyond it a new request takes the place of another connection (places.py).
        closed: Called with a word that says why, for each connection that a bound closes.
        crowded: Called with the source where that cuts off a request that is arriving, with nothing where a new connection is
            turned away.
    """

    class Bounded(_DeadlineProtocol):
        within_s = request_timeout_s
        bounds = ConnectionBounds(max_connections, closed, crowded)

    return Bounded
