"""The console as an ASGI app: its routes, who may read them, and what every answer carries."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.console.api_client import Api, ApiError, Upstream
from services.console.assets import serve_asset
from services.console.backtests import Backtests
from services.console.holders import UNAUTHORIZED, Holders
from services.console.identity import Identity, identify, same_site
from services.console.pages import (
    account,
    failed,
    ingest,
    live,
    portfolio,
    preferences,
    record,
    right,
    signin,
    today,
    waiting,
)
from services.console.rendering import Visit
from services.console.settings import ConsoleSettings
from services.console.words import catalogue
from services.shared.wording import LANGUAGES, preferred

log = logging.getLogger(__name__)

Page = Callable[[Visit], Awaitable[Response]]

LIVE = "/live"
PAGES: list[tuple[str, Page]] = [
    ("/", today.show),
    ("/portfolio", portfolio.show),
    ("/ingest", ingest.show),
    ("/waiting", waiting.show),
    (LIVE, live.relay),
    ("/right", right.show),
    ("/right/report", right.report),
    ("/accounts", account.show),
    ("/accounts/{account:path}", account.show),
]
"""Pages that are read. Longer addresses come first."""
FORMS: list[tuple[str, Page]] = [
    ("/preferences", preferences.change),
    ("/right", right.start),
    ("/right/stop", right.stop),
    ("/accounts", record.send),
    ("/accounts/{account:path}", record.send),
]
"""What forms are sent to, by POST from a page of the console itself."""


def console_app(
    upstream: Upstream, settings: ConsoleSettings, *, is_open: bool, clock: Callable[[], float] = time.time
) -> Starlette:
    """
    Return the console.

    Args:
        upstream: Where the API is.
        settings: What it shows, and to whom.
        is_open: Whether those who have not signed in are let in, as on loopback.
        clock: Seconds since 1970, by which Today sees how old the newest data are.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log each question, with what people search for
    made = _Console(upstream, settings, is_open=is_open)
    routes: list[BaseRoute] = [
        Route("/static/{digest}/{name:path}", serve_asset),
        *(Route(path, made.reading(page), methods=["GET"]) for path, page in PAGES),
        *(Route(path, made.sending(form), methods=["POST"]) for path, form in FORMS),
        Route("/sign-in", made.outside(signin.show), methods=["GET"]),
        Route("/sign-in", made.outside(signin.enter), methods=["POST"]),
        Route("/sign-out", made.outside(signin.leave), methods=["POST"]),
        Route("/{path:path}", made.reading(failed.no_such_page)),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_Headers), Middleware(GZipMiddleware, minimum_size=1000)],
        exception_handlers={ClientDisconnect: _gone},
    )
    app.state.backtests = Backtests(settings.history)
    app.state.clock = clock
    return app


class _Console:
    def __init__(self, upstream: Upstream, settings: ConsoleSettings, *, is_open: bool) -> None:
        self._upstream = upstream
        self._settings = settings
        self._is_open = is_open
        self._holders = Holders(upstream)

    def reading(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page."""

        async def answer(request: Request) -> Response:
            identity = identify(request, self._settings, is_open=self._is_open)
            if identity is None:
                return _to_sign_in(request)
            if identity.how == "token":
                try:
                    identity = await self._holders.named(identity)
                except ApiError as error:
                    return _failed(self._visit(request, identity), error)
            return await _answered(page, self._visit(request, identity))

        return answer

    def outside(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page for those who have not signed in."""

        async def answer(request: Request) -> Response:
            if request.method == "POST" and not same_site(request):
                return PlainTextResponse("this form was sent from another site\n", 403)
            identity = identify(request, self._settings, is_open=self._is_open)
            return await _answered(page, self._visit(request, identity or Identity("", "nobody")))

        return answer

    def sending(self, form: Page) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a form; forms of other sites are refused."""
        reading = self.reading(form)

        async def answer(request: Request) -> Response:
            if not same_site(request):
                return PlainTextResponse("this form was sent from another site\n", 403)
            return await reading(request)

        return answer

    def _visit(self, request: Request, identity: Identity) -> Visit:
        chosen = request.cookies.get("tidemark_language", "")
        language = chosen if chosen in LANGUAGES else self._settings.language
        words = catalogue(language or preferred(request.headers.get("accept-language", "")))
        return Visit(request, Api(self._upstream, identity.token), identity, words, self._settings)


async def _answered(page: Page, visit: Visit) -> Response:
    try:
        return await page(visit)
    except ApiError as error:
        return _failed(visit, error)


def _failed(visit: Visit, error: ApiError) -> Response:
    """Say what the API said; who comes with a token that it does not take any more signs in again."""
    if error.status == UNAUTHORIZED and visit.identity.how == "token":
        return _to_sign_in(visit.request, again=True)
    if error.status >= 500:
        log.warning("api_failed", extra={"path": visit.request.url.path, "error": str(error)})
    return failed.page(visit, error)


async def _gone(_request: Request, _left: Exception) -> Response:
    """Answer nobody: who leaves amid a form is no error of ours, and anybody may."""
    return Response(status_code=400)


def _to_sign_in(request: Request, *, again: bool = False) -> Response:
    """
    Lead a reader to the sign-in; what script asks for is refused: it then opens its page anew, which leads there.

    Args:
        request: What was asked for.
        again: Whether a token was given that is not accepted any more.
    """
    if "hx-request" in request.headers or request.url.path == LIVE:
        return PlainTextResponse("sign in again\n", 401)
    return signin.forget(RedirectResponse("/sign-in?again=1", 303)) if again else RedirectResponse("/sign-in", 303)


class _Headers:
    """Adds the headers that every answer of the console carries."""

    _ADDED = (
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"x-frame-options", b"DENY"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[Any] = list(message.get("headers", []))
                message = {**message, "headers": [*headers, *self._ADDED]}
            await send(message)

        await self._app(scope, receive, sending)
