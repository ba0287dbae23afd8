"""
`/live`: a page that shows events as they arrive, and the stream that it reads, as server-sent events.

The page is the same for everybody and holds no data. The stream is for those who may watch (`access`); it has no CORS
headers. Each message is a `News` as JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from services.ingest.live.access import Access
from services.ingest.live.log_tail import LogTail

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/live": ("index.html", "text/html; charset=utf-8"),
    "/live/live.js": ("live.js", "text/javascript; charset=utf-8"),
    "/live/live.css": ("live.css", "text/css; charset=utf-8"),
}
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_WATCHERS = 16
_A_SECOND = 30.0
_BEAT_S = 10.0
_LONGEST_SOURCE = 256

_encode = msgspec.json.Encoder().encode


class Live:
    """The application behind `/live`. `close` ends all streams."""

    def __init__(self, tail: LogTail, access: Access) -> None:
        self._tail = tail
        self._access = access
        self._closing = asyncio.Event()
        files = [Route(path, _file(name, kind)) for path, (name, kind) in _FILES.items()]
        self.app = Starlette(routes=[*files, Route("/live/events", self._events)])

    def close(self) -> None:
        """End all streams, since a process that leaves waits for open requests."""
        self._closing.set()

    async def _events(self, request: Request) -> Response:
        denied = self._access.denied(request.headers)
        if denied is not None:
            return _error(denied.status, denied.code, denied.detail)
        source = request.query_params.get("source", "")
        if len(source) > _LONGEST_SOURCE:
            return _error(400, "bad_parameter", "source has over 256 characters")
        if self._tail.watched >= _WATCHERS:
            return _error(429, "overloaded", f"{_WATCHERS} watch already; close a page that nobody looks at")
        return StreamingResponse(self._stream(source), headers=_SAFE, media_type="text/event-stream")

    async def _stream(self, source: str) -> AsyncIterator[bytes]:
        closing = asyncio.create_task(self._closing.wait())
        try:
            async with self._tail.watch(source, _A_SECOND) as watcher:
                begun = False
                while not closing.done():
                    if watcher.begun and not begun:
                        begun = True
                        yield b"event: begun\ndata: {}\n\n"
                    news = asyncio.ensure_future(watcher.next(_BEAT_S if begun else 0.1))
                    await asyncio.wait((news, closing), return_when=asyncio.FIRST_COMPLETED)
                    if not news.done():
                        news.cancel()
                        return
                    told = news.result()
                    if told is not None:
                        yield b"data: " + _encode(told) + b"\n\n"
                    elif begun:
                        yield b": nothing new\n\n"  # who has left is found out by writing
        finally:
            closing.cancel()


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    body = (_PAGE / name).read_bytes()

    async def serve(_: Request) -> Response:
        return Response(body, headers={**_SAFE, "Content-Type": kind})

    return serve


def _error(status: int, code: str, detail: str) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": "10"} if status == 429 else {}
    return JSONResponse({"success": False, "code": code, "field": "", "message": detail}, status, {**_SAFE, **headers})
