"""What is stored of one person or account, and which erasures of it were ordered: what `tidemark erase` asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.shared.errors import Rejected, Retryable
from services.warehouse.domain.erasing import LINKED, Erasure
from services.warehouse.domain.parameters import Parameter, parsed
from services.warehouse.http.answering import unavailable
from services.warehouse.http.problems import problem
from services.warehouse.http.tokens import TOKEN_NAME
from services.warehouse.http.turns import QueryTurns
from services.warehouse.ports import Eraser


def erasing_routes(store: Callable[[], Eraser], turns: QueryTurns | None = None) -> list[Route]:
    """
    Return the routes; they only read. Addresses come to them as they were sent.

    Args:
        store: Gives the store, or raises Retryable while it is not open.
        turns: Those of the questions, so that traces hold up neither them nor the sink; by default its own.
    """
    taking = turns or QueryTurns()

    async def person(request: Request) -> Response:
        return await _told(store, taking, request, [LINKED], user=unquote(request.path_params["user"]))

    async def account(request: Request) -> Response:
        return await _told(store, taking, request, [], account=unquote(request.path_params["account"]))

    return [Route("/v1/traces/people/{user}", person), Route("/v1/traces/accounts/{account:path}", account)]


async def _told(
    store: Callable[[], Eraser],
    turns: QueryTurns,
    request: Request,
    parameters: Sequence[Parameter],
    *,
    user: str = "",
    account: str = "",
) -> Response:
    def asked() -> dict[str, Any]:
        eraser = store()
        # In this order: what is left beside an order that is done was counted after it.
        orders = [order for order in eraser.erasures() if (order.user, order.account) == (user, account)]
        found = eraser.traces(user=user, account=account, **given)
        return {**found._asdict(), "erasures": [_order(order) for order in orders]}

    try:
        if not user and not account:  # what has none is stored under the empty name
            raise Rejected("bad_parameter", "account", "name an account: /v1/traces/accounts/ACCOUNT")
        given = parsed(parameters, request.query_params.multi_items())
        return Response(
            msgspec.json.encode(await turns.take(asked, request.scope.get(TOKEN_NAME) or "")),
            media_type="application/json",
        )
    except Rejected as error:
        return problem(400, error.code, error.detail, error.field)
    except Retryable as error:
        return unavailable(error)


def _order(order: Erasure) -> Mapping[str, Any]:
    place = f"{order.place.topic}/{order.place.partition}/{order.place.offset}"
    return {"place": place, "at": order.at, "by": order.by, "done": order.done, "removed": dict(order.removed)}
