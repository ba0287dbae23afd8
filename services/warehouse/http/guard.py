"""
Who may ask, checked by the headers alone, before anything else is done for a request.

With tokens, each request needs one. Without, the process listens on loopback, and only requests for loopback are taken: a
page of somebody else's can have its name resolve to 127.0.0.1, but its browser still says the page's own name as Host. A
proxy on this machine that hands on what others ask says for whom.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import time

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.shared.errors import Rejected
from services.shared.http.server import FORWARDED
from services.warehouse.http.answering import ERASURES
from services.warehouse.http.problems import problem
from services.warehouse.http.tokens import TOKEN_NAME, Tokens
from services.warehouse.metrics import WarehouseMetrics

log = logging.getLogger(__name__)

_TELL_EVERY_S = 60.0
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^:\[\]]{1,255})(:[0-9]{1,5})?")


def is_loopback(host: str) -> bool:
    """Return whether an address, or the name localhost, is of this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in ("localhost", "localhost.")


class Guard:
    """Lets those through who may ask."""

    def __init__(self, app: ASGIApp, tokens: Tokens | None, metrics: WarehouseMetrics) -> None:
        """Take the tokens, or None where everybody on this machine may ask."""
        self._app = app
        self._tokens = tokens
        self._metrics = metrics
        self._told: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        refused = self._refusal(scope) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, send)
            return
        code, response = refused
        self._metrics.refused.labels(code).inc()
        self._tell(code, scope)
        await response(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[str, Response] | None:
        headers = dict(scope["headers"])
        if self._tokens is None:
            host = _HOST.fullmatch(headers.get(b"host", b"").decode("latin-1"))
            if any(name.encode() in headers for name in FORWARDED):
                detail = "a proxy asks for somebody: set TIDEMARK_QUERY_TOKENS_FILE, and each request needs a token"
                return "forwarded", problem(421, "forwarded", detail)
            if host is not None and is_loopback(host[1]):
                return None
            detail = "without tokens only requests for localhost are taken: ask at 127.0.0.1, or set TIDEMARK_QUERY_TOKENS_FILE"
            return "wrong_host", problem(421, "wrong_host", detail)
        scheme, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            detail = "send a token as `Authorization: Bearer TOKEN`; `tidemark tokens create` makes one"
            return "missing_token", problem(401, "missing_token", detail, headers={"WWW-Authenticate": "Bearer"})
        try:
            scope[TOKEN_NAME] = self._tokens.named(text.strip()).name
        except Rejected as error:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return error.code, problem(401, error.code, error.detail, headers=challenge)
        return None

    def _tell(self, code: str, scope: Scope) -> None:
        """Log a refusal, once a minute for each code: whoever has a wrong token must not fill the log."""
        now = time.monotonic()
        if now >= self._told.get(code, 0.0):
            self._told[code] = now + _TELL_EVERY_S
            address = str((scope.get("client") or ("",))[0])
            log.warning("question_refused", extra={"code": code, "client": address})


def with_cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Return an application whose answers pages of these origins may read; without any, no page may."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET"],
        allow_headers=["authorization", "if-none-match", "last-event-id"],
        expose_headers=["ETag", "Retry-After", ERASURES],
        max_age=7_200,
    )
