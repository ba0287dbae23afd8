"""
`/v1/export/{view}`: a view as Parquet, CSV or NDJSON. `/v1/traces/people/{user}/{table}`: what a table has of a person.

One at a time, since each may take long and much.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from services.shared.errors import Rejected, Retryable
from services.warehouse.domain.disclosure import personal_rows
from services.warehouse.domain.exports import Selection, export_of
from services.warehouse.domain.parameters import each_once, parsed
from services.warehouse.http.problems import problem
from services.warehouse.ports import Exporter

log = logging.getLogger(__name__)

UNREAD_S = 30.0
"""A client that takes nothing for so long is let go."""
WHOLE_S = 3_600.0
"""So is one that has not taken the whole in this time: a few kilobytes a second would keep all others out for days."""
_TYPES = {
    "Parquet": "application/vnd.apache.parquet",
    "CSVWithNames": "text/csv",
    "JSONEachRow": "application/x-ndjson",
}


def exporting_routes(store: Callable[[], Exporter]) -> list[Route]:
    """
    Return the routes.

    Args:
        store: Gives the store, or raises Retryable while it is not open.
    """
    one_at_a_time = asyncio.Lock()

    async def export(request: Request) -> Response:
        return await answer(
            request, lambda: export_of(request.path_params["view"], each_once(request.query_params.multi_items()))
        )

    async def rows(request: Request) -> Response:
        def wanted() -> Selection:
            parsed([], request.query_params.multi_items())
            return personal_rows(request.path_params["user"], request.path_params["table"])

        return await answer(request, wanted)

    async def answer(request: Request, selection: Callable[[], Selection]) -> Response:
        if one_at_a_time.locked():
            return problem(503, "busy", "another export runs; try again once it is over", headers={"Retry-After": "30"})
        await one_at_a_time.acquire()
        response: Response | None = None
        pieces: _Pieces | None = None
        try:
            wanted = selection()
            if request.method == "HEAD":
                return Response(media_type=_TYPES[wanted.format])
            pieces = _Pieces(store().export(wanted))
            first = await asyncio.to_thread(pieces.take)  # before the status is sent, so that it can tell of a failure
            response = _Export(first, pieces, one_at_a_time, _TYPES[wanted.format])
        except Rejected as error:
            return problem(404 if error.code.startswith("no_such_") else 400, error.code, error.detail, error.field)
        except Retryable as error:
            wait = {"Retry-After": str(max(1, round(error.retry_after_s)))}
            return problem(503, "unavailable", f"ClickHouse does not answer: {error}", headers=wait)
        finally:
            if response is None:
                await _ended(pieces, one_at_a_time)
        return response

    return [Route("/v1/export/{view}", export), Route("/v1/traces/people/{user}/{table}", rows)]


class _Pieces:
    """The pieces of an export, which may be ended while a thread waits for the next one."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._lock = threading.Lock()

    def take(self) -> bytes:
        """Return the next piece; empty: that was all."""
        with self._lock:
            return next(self._pieces, b"")

    def close(self) -> None:
        """Let go of connection and file."""
        with self._lock, contextlib.suppress(AttributeError):
            self._pieces.close()  # type: ignore[attr-defined]


async def _ended(pieces: _Pieces | None, running: asyncio.Lock) -> None:
    """Let go of an export; only then may the next one start, even if nobody waits for the end of this one."""
    if pieces is None:
        running.release()
        return
    closing = asyncio.ensure_future(asyncio.to_thread(pieces.close))
    closing.add_done_callback(lambda _: running.release())
    await asyncio.shield(closing)


class _Export(StreamingResponse):
    """An export on its way; whatever becomes of the client, the next one may start afterwards."""

    def __init__(self, first: bytes, pieces: _Pieces, running: asyncio.Lock, media_type: str) -> None:
        super().__init__(self._all(first, pieces), media_type=media_type)
        self._pieces = pieces
        self._running = running
        self._is_over = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                await self._let_go()  # first: who has the whole of one may ask for the next one at once
            async with asyncio.timeout(UNREAD_S):
                await send(message)

        try:
            async with asyncio.timeout(WHOLE_S):
                await super().__call__(scope, receive, sending)
        except (
            TimeoutError,
            ClientDisconnect,
        ):  # the connection ends with less than was announced, so the client knows
            log.warning("export_not_taken", extra={"path": scope["path"]})
        except (Rejected, Retryable) as error:  # it ends in the same way
            log.warning("export_broke_off", extra={"path": scope["path"], "reason": str(error)})
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        if not self._is_over:
            self._is_over = True
            await _ended(self._pieces, self._running)

    @staticmethod
    async def _all(first: bytes, pieces: _Pieces) -> AsyncIterator[bytes]:
        piece = first
        while piece:
            yield piece
            piece = await asyncio.to_thread(pieces.take)
