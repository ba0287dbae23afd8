"""
The HTTP face of ingest, as a bare ASGI application: it finds the route of a dialect and sends what it replies.

Promises: never a 3xx or 410 for events, which SDKs take for delivered or repeat for ever; CORS headers on every answer;
OPTIONS is answered before anything else; 429 always carries integer `Retry-After` and `X-RateLimit-Reset`. What is
not of ingest goes to `rest` (metrics and health). Who has no known write key is answered before its body is read.
"""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from services.ingest.dialects.registry import Methods, RouteTable
from services.ingest.errors import Code, status_of
from services.ingest.http import cors
from services.ingest.http.call import Call, Headers, Reply, refusal
from services.ingest.http.receiving import Gone, Incoming
from services.ingest.http.refusals import STATUSES, RefusalLog
from services.ingest.intake import EventIntake, pushed_back
from services.ingest.metrics import IngestMetrics
from services.shared.errors import Rejected, Retryable

log = logging.getLogger(__name__)

_REST = frozenset({"/metrics", "/healthz", "/readyz"})
_LIVE = "/live"
_CLOSE = (b"connection", b"close")


class IngestApp:
    """The ASGI application."""

    def __init__(
        self, *, intake: EventIntake, routes: RouteTable, metrics: IngestMetrics, rest: ASGIApp, live: ASGIApp | None
    ) -> None:
        self.intake = intake
        self.routes = routes
        self._metrics = metrics
        self._rest = rest
        self._refusals = RefusalLog()
        self._live = live

    def among(self, count: int, own_port: int) -> ASGIApp:
        """Return this application for a port that it shares: there, nobody knows whose metrics would be given."""

        async def shared(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].rstrip("/") == "/metrics":
                message = (
                    f"{count} workers share this port; each has its /metrics on a port of its own, like {own_port}"
                )
                reply = refusal(404, Code.NOT_FOUND, "", message)
                await _send(send, reply.status, reply.body, [(b"content-type", reply.content_type)])
                return
            await self(scope, receive, send)

        return shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path = scope["path"].rstrip("/") or "/"
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"")
        if path in _REST:
            await self._rest({**scope, "path": path}, receive, send)  # for operators: no page may read it
            return
        if self._live is not None and (path == _LIVE or path.startswith(f"{_LIVE}/")):
            await self._live({**scope, "path": path}, receive, send)  # for people: without CORS
            return
        methods, params = self.routes.find(path)
        endpoint = _endpoint(methods, scope["method"])
        call = Call(scope["method"], path, params, scope["query_string"], headers, Incoming(receive, headers), scope)
        if call.method == "OPTIONS":
            self._metrics.answered(endpoint, 204)
            await _send(send, 204, b"", cors.preflight(origin, allowed=self.intake.welcomes(call, origin)))
            return
        self._metrics.requests_in_flight += 1
        try:
            reply = await self._reply(call, methods, endpoint)
        except Gone:
            self._metrics.answered(endpoint, 499)
            return
        finally:
            call.incoming.close()
            self._metrics.requests_in_flight -= 1
        self._metrics.answered(endpoint, reply.status)
        if reply.status in STATUSES:
            self._refusals.note(call, reply.status, reply.code, endpoint)
        answer = [(b"content-type", reply.content_type), *reply.headers, *call.answered, *cors.headers(origin)]
        if call.incoming.small():
            await _send(send, reply.status, reply.body, answer)
            return
        await _send(send, reply.status, reply.body, [_CLOSE, *answer], last=False)
        await call.incoming.drop()
        await send({"type": "http.response.body", "body": b""})

    async def _reply(self, call: Call, methods: Methods, endpoint: str) -> Reply:
        try:
            route = methods.get("GET" if call.method == "HEAD" else call.method)
            if route is None:
                return _no_route(call, methods)
            return await route.serve(call, self.intake.of(call))
        except Rejected as error:
            return refusal(status_of(error), error.code, error.field, error.detail)
        except Retryable as error:
            pushed = pushed_back(error)
            return refusal(429, pushed.code, "", pushed.message, pushed.headers)
        except Gone:
            raise
        except Exception:
            log.exception("request_failed", extra={"endpoint": endpoint})
            return refusal(500, Code.INTERNAL_ERROR, "", "an error of ours; it is logged, and sending again is safe")


_NOT_FOUND = (
    "there is nothing at this path; events go to POST /v1/batch, and a proxy that adds a prefix has to remove it again"
)


def _no_route(call: Call, methods: Methods) -> Reply:
    if not methods:
        return refusal(404, Code.NOT_FOUND, "", _NOT_FOUND)
    allowed = sorted({*methods, "OPTIONS"})
    message = f"{call.method} is not taken here; use {' or '.join(sorted(methods))}"
    return refusal(405, Code.METHOD_NOT_ALLOWED, "", message, [(b"allow", ", ".join(allowed).encode())])


def _endpoint(methods: Methods, method: str) -> str:
    """Return the endpoint of a path in metrics: the one of the method, else of the path's first route."""
    route = methods.get(method) or next(iter(methods.values()), None)
    return route.endpoint if route is not None else "other"


async def _send(send: Send, status: int, body: bytes, headers: Headers, *, last: bool = True) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            # These have no body, and a length in a 304 would be taken for that of the file.
            "headers": headers if status in (204, 304) else [(b"content-length", str(len(body)).encode()), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": not last})
