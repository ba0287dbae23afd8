"""
`/v1/stream`: health and signals as they are stored, as server-sent events.

`health` and `signal` have the form of the lists, `forgotten` names an account that is gone, and `reload` says that something was
missed: ask for the lists again. The id of an event is a cursor: a browser sends it as Last-Event-ID when it comes back, and
goes on there. Streams are bounded in number and time, and one that does not read is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.shared.errors import Rejected, Retryable
from services.shared.http.leaving import until_left
from services.warehouse.domain.parameters import TextParameter, parsed
from services.warehouse.http.feed import Feed
from services.warehouse.http.problems import problem
from services.warehouse.http.tokens import TOKEN_NAME
from services.warehouse.metrics import WarehouseMetrics

log = logging.getLogger(__name__)

PARAMETERS = (
    TextParameter("account", "Only of this account.", 20_000),
    TextParameter(
        "after", "Id of the last event that is known, for clients that cannot send Last-Event-ID, which counts first."
    ),
)
LISTENERS = 100
"""Streams at the same time."""
LISTENERS_EACH = 80
"""The same of one token."""
LIFETIME_S = 900.0
"""After this a stream ends and the client comes back: with a token that is still valid."""
QUIET_S = 15.0
"""A comment after so long without news, so that proxies do not take the stream for dead."""
UNREAD_S = 30.0
"""A client that takes nothing for so long is let go."""
_AT_ONCE = 50
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Streams:
    """All streams of one process."""

    def __init__(self, feed: Feed, metrics: WarehouseMetrics) -> None:
        self._feed = feed
        self._metrics = metrics
        self._listeners: Counter[str] = Counter()
        """By the name of the token; without one, the empty name."""

    async def answer(self, request: Request) -> Response:
        """Answer one request with a stream, or say why not."""
        try:
            given = parsed(PARAMETERS, request.query_params.multi_items())
        except Rejected as error:
            return problem(400, error.code, error.detail, error.field)
        if request.method == "HEAD":
            return Response(headers=_HEADERS, media_type=_EventStream.media_type)
        token = request.scope.get(TOKEN_NAME) or ""
        if self._listeners.total() >= LISTENERS or (token and self._listeners[token] >= LISTENERS_EACH):
            detail = f"{LISTENERS} streams are open, or {LISTENERS_EACH} with this token, as many as there may be; ask again later"
            return problem(503, "busy", detail, headers={"Retry-After": "30"})
        cursor = request.headers.get("last-event-id") or given["after"]
        return _EventStream(self._events(given["account"], cursor), partial(self._counted, token))

    @contextlib.contextmanager
    def _counted(self, token: str) -> Iterator[None]:
        self._listeners[token] += 1
        self._metrics.listeners.inc()
        try:
            yield
        finally:
            self._listeners[token] -= 1
            self._metrics.listeners.dec()

    async def _events(self, account: str, cursor: str) -> AsyncGenerator[bytes, None]:
        feed, end = self._feed, time.monotonic() + LIFETIME_S
        known = feed.position(cursor) if cursor else feed.last
        position = feed.last if known is None else known
        yield _event("reload" if known is None else "ready", feed.cursor(position), b"{}")
        while not feed.closed and time.monotonic() < end:
            fresh, last = feed.fresh, feed.last
            if not feed.reaches(position):
                position = last
                yield _event("reload", feed.cursor(position), b"{}")
            news = feed.after(position, account, _AT_ONCE)
            try:
                written = await feed.written(news) if news else []
            except Retryable as error:
                log.warning("news_not_told", extra={"error": error.detail})
                await asyncio.sleep(error.retry_after_s)
                continue
            for each, data in zip(news, written, strict=True):
                yield _event(each.kind, feed.cursor(each.number), data)
            if len(news) == _AT_ONCE:
                position = news[-1].number
                continue
            position = last
            try:
                await asyncio.wait_for(fresh.wait(), QUIET_S)
            except TimeoutError:
                yield b":\n\n"


class _EventStream(Response):
    """Sends parts as they come, until they end, the client leaves, or it does not read."""

    media_type = "text/event-stream"

    def __init__(
        self, parts: AsyncGenerator[bytes, None], counted: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        super().__init__(None, 200, _HEADERS)
        del self.headers["content-length"]
        self._parts = parts
        self._counted = counted

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        with self._counted():
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await until_left(self._send(send), receive)

    async def _send(self, send: Send) -> None:
        async with contextlib.aclosing(self._parts):
            async for part in self._parts:
                async with asyncio.timeout(UNREAD_S):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _event(name: str, cursor: str, data: bytes) -> bytes:
    return f"event: {name}\nid: {cursor}\ndata: ".encode() + data + b"\n\n"
