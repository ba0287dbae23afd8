"""
Questions about accounts and signals over HTTP, as JSON with the names and units of the Avro records.

A wrong parameter is answered with 400 and its name; while ClickHouse is away the answer is 503 with Retry-After.
Every question runs in a thread: a slow one holds up neither the sink nor the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.measures import MEASURES
from services.shared.errors import Rejected, Retryable
from services.warehouse.domain import filters, people, presentation
from services.warehouse.domain.filters import EventCursor, SignalFilter
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import Found, Queries

_HISTORY_IN_ACCOUNT = 90


def query_routes(store: Callable[[], Queries], metrics: WarehouseMetrics) -> list[Route]:
    """
    Return the routes of the query API.

    Args:
        store: Gives the store, or raises Retryable while it is not open.
        metrics: Where the time of each question goes.
    """
    api = _QueryApi(store)
    # The id of an account may hold a slash, so the longer routes come first and the id takes what is left.
    table: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
        ("/v1/accounts", api.accounts),
        ("/v1/accounts/{account:path}/history", api.history),
        ("/v1/accounts/{account:path}/events", api.events),
        ("/v1/accounts/{account:path}", api.account),
        ("/v1/signals", api.signals),
        ("/v1/people/{user}", api.person),
        ("/v1/measures", api.measures),
        ("/v1/totals", api.totals),
    ]
    return [Route(path, _answering(path, endpoint, metrics), methods=["GET"]) for path, endpoint in table]


class _QueryApi:
    def __init__(self, store: Callable[[], Queries]) -> None:
        self._store = store

    async def accounts(self, request: Request) -> Response:
        """List accounts."""
        wanted = filters.account_filter(_parameters(request))
        found = await self._ask(lambda s: s.accounts(wanted))
        return _json({"accounts": [presentation.account(each) for each in found]})

    async def account(self, request: Request) -> Response:
        """Return one account whole."""
        name = request.path_params["account"]
        days = filters.history_days(_parameters(request))

        def question(s: Queries) -> dict[str, Any] | None:
            latest = s.latest(name)
            activity = s.account_days(name, days)
            past = s.history(name, days)
            if not past and not activity:
                return None
            return {
                "account": name,
                "health": presentation.health(latest) if latest else None,
                "risk_tenth": s.risk_tenth(name),
                **presentation.risk_chance(latest or presentation.NO_RISK),
                "history": [presentation.history_point(snapshot) for snapshot in past],
                "activity": [presentation.activity(each) for each in activity],
                "signals": [presentation.signal(each) for each in s.signals(SignalFilter(account=name))],
            }

        return _found(await self._ask(_naming(question)), name)

    async def history(self, request: Request) -> Response:
        """Return the last snapshot of each day of one account."""
        name = request.path_params["account"]
        days = filters.history_days(_parameters(request))

        def question(s: Queries) -> dict[str, Any] | None:
            found = s.history(name, days)
            if not found and not s.account_days(name, 1):
                return None
            return {"account": name, "history": [presentation.health(snapshot) for snapshot in found]}

        return _found(await self._ask(_naming(question)), name)

    async def events(self, request: Request) -> Response:
        """Return a page of one account's events."""
        wanted = filters.event_filter(request.path_params["account"], _parameters(request))
        one_more = replace(wanted, limit=wanted.limit + 1)

        def question(s: Queries) -> tuple[list[Found], list[Found]]:
            found = s.events(one_more)
            return found, s.details([each["event_id"] for each in found[: wanted.limit]])

        found, details = await self._ask(question)
        page = found[: wanted.limit]
        following = str(EventCursor.of(page[-1])) if len(found) > len(page) else None
        beyond = people.by_event(details)
        told = [presentation.event(each, people.of(each, beyond)) for each in page]
        return _json({"account": wanted.account, "events": told, "next": following})

    async def signals(self, request: Request) -> Response:
        """List signals."""
        wanted = filters.signal_filter(_parameters(request))

        def question(s: Queries) -> dict[str, Any]:
            return {"signals": [presentation.signal(each) for each in s.signals(wanted)]}

        return _json(await self._ask(_naming(question)))

    async def person(self, request: Request) -> Response:
        """Return the user id that a pseudonym stands for, as long as it is known."""
        filters.nothing(_parameters(request))
        user = request.path_params["user"]
        known = await self._ask(lambda s: s.people([user]))
        if user not in known:
            return _error(404, "no_such_person", "user", f"nobody is known as {user[:100]!r}, or not any more")
        return _json({"user": user, "user_id": known[user]})

    async def measures(self, request: Request) -> Response:
        """Return the record of each measure."""
        filters.nothing(_parameters(request))
        return _json({"measures": [presentation.measure(name) for name in MEASURES]})

    async def totals(self, request: Request) -> Response:
        """Return how much is stored of each topic."""
        filters.nothing(_parameters(request))
        return _json({"totals": await self._ask(lambda s: s.totals())})

    async def _ask(self, question: Callable[[Queries], Any]) -> Any:
        return await asyncio.to_thread(question, self._store())


def _naming(question: Callable[[Queries], Any]) -> Callable[[Queries], Any]:
    """Return the question with people's own ids in the answer, where they are still known."""

    def asked(s: Queries) -> Any:
        told = question(s)
        return people.named(told, s.people(sorted(people.pseudonyms_in(told))))

    return asked


def _answering(
    path: str, endpoint: Callable[[Request], Awaitable[Response]], metrics: WarehouseMetrics
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        with metrics.queries.labels(path).time():
            try:
                return await endpoint(request)
            except Rejected as error:
                return _error(400, error.code, error.field, error.detail)
            except Retryable as error:
                detail = "ClickHouse does not answer; try again"
                return _error(503, "unavailable", "", detail, {"Retry-After": str(max(1, round(error.retry_after_s)))})

    return answer


def _parameters(request: Request) -> Mapping[str, str]:
    given = request.query_params
    for name in given:
        if len(given.getlist(name)) > 1:
            raise Rejected("bad_parameter", name, "is given more than once")
    return given


def _found(value: Any, account: str) -> Response:
    if value is None:
        return _error(404, "no_such_account", "account", f"nothing was ever stored of {account[:200]!r}")
    return _json(value)


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def _error(status: int, code: str, field: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json({"error": {"code": code, "field": field, "detail": detail}}, status, headers)
