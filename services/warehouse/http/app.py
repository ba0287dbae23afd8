"""The application that answers the query API."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from services.warehouse.domain.refusals import Refusals
from services.warehouse.http import accounts, overview, records
from services.warehouse.http.answering import answering, conditional
from services.warehouse.http.feed import Feed
from services.warehouse.http.openapi import document
from services.warehouse.http.problems import no_such_address, no_such_method
from services.warehouse.http.stream import Streams
from services.warehouse.http.turns import QueryTurns
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import Queries

# The id of an account may hold a slash, so the longer routes come first and the id takes what is left.
QUESTIONS = (*accounts.QUESTIONS, *records.QUESTIONS, *overview.QUESTIONS)


def query_app(
    store: Callable[[], Queries],
    metrics: WarehouseMetrics,
    clock: Callable[[], float] = time.time,
    feed: Feed | None = None,
    refusals: Refusals | None = None,
    more: Sequence[Route] = (),
    turns: QueryTurns | None = None,
) -> QueryApp:
    """
    Return the application, without any check of who asks.

    Args:
        store: Gives the store, or raises Retryable while it is not open.
        metrics: Where the time of each question goes.
        clock: The time in seconds since 1970.
        feed: What streams tell; without one they have nothing to tell.
        refusals: What was refused lately; without them nothing is known of it.
        more: What is answered beside the questions; addresses come to it as they were sent.
        turns: Who may ask now, where `more` takes turns with the questions.
    """
    turns = turns or QueryTurns()
    feed = feed or Feed(store)
    routes = [
        Route(q.path, answering(q, store, turns, metrics, clock, refusals, feed), methods=["GET"]) for q in QUESTIONS
    ]
    described = document(QUESTIONS, [route.path for route in more])

    async def openapi(request: Request) -> Response:
        return conditional(request, described)

    streams = Streams(feed, metrics)
    routes += [
        Route("/v1/stream", streams.answer, methods=["GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
        *more,
    ]
    app = Starlette(routes=routes, exception_handlers={404: no_such_address, 405: no_such_method})
    app.router.redirect_slashes = False
    return QueryApp(app, [route.path for route in routes])


class QueryApp:
    """The query API as an ASGI application."""

    def __init__(self, routed: Starlette, paths: Sequence[str]) -> None:
        self._routed = routed
        self.paths = paths
        """All addresses, as they are routed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # An account's id may end in /history: only as it was sent can a slash of the id be told from one of the address.
        sent = scope.get("raw_path") if scope["type"] == "http" else None
        await self._routed({**scope, "path": sent.decode("latin-1")} if sent else scope, receive, send)
