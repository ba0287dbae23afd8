"""
How a question is answered: parameters are checked, a thread asks the store, the answer goes out with its ETag.

Questions take turns (turns.py). A slow one holds up neither the sink nor the others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from xxhash import xxh3_128_hexdigest

from services.shared.errors import Rejected, Retryable
from services.warehouse.domain import people
from services.warehouse.domain.parameters import parsed
from services.warehouse.domain.refusals import Refusals
from services.warehouse.http.feed import Feed
from services.warehouse.http.problems import problem
from services.warehouse.http.question import Asked, NotFound, Question
from services.warehouse.http.tokens import TOKEN_NAME
from services.warehouse.http.turns import Busy, QueryTurns
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import Queries

log = logging.getLogger(__name__)

ERASURES = "Tidemark-Erasures"
"""A header that changes when somebody was erased: who keeps answers throws away those with another one."""

Answer = Callable[[Request], Awaitable[Response]]


def answering(
    question: Question, store: Callable[[], Queries], turns: QueryTurns, metrics: WarehouseMetrics,
    clock: Callable[[], float] = time.time, refusals: Refusals | None = None, feed: Feed | None = None,
) -> Answer:  # fmt: skip
    """Return what answers the requests of one address."""

    def ask(asked: Asked) -> bytes:
        told = question.answer(asked)
        if question.names_people:
            told = people.named(told, asked.store.people(sorted(people.pseudonyms_in(told))))
        return msgspec.json.encode(told)

    async def answer(request: Request) -> Response:
        with metrics.queries.labels(question.path).time():
            try:
                given = parsed(question.parameters, request.query_params.multi_items())
                path = {name: unquote(text) for name, text in request.path_params.items()}
                if path.get("account") == "":  # events without an account are stored under this name
                    raise NotFound("no_such_account", "account", "name an account: /v1/accounts/ACCOUNT")
                token = request.scope.get(TOKEN_NAME)
                asked = Asked(store(), path, given, int(clock() * 1000), token, refusals, feed)
                # Before the answer: a mark that is too new would keep an answer that is too old.
                erasures = feed.erasures if feed else ""
                body = await turns.take(lambda: ask(asked), token or "")
            except NotFound as error:
                return problem(404, error.code, error.detail, error.field)
            except Rejected as error:
                return problem(400, error.code, error.detail, error.field)
            except Retryable as error:
                return unavailable(error)
            except Exception:
                log.exception("question_failed", extra={"route": question.path})
                return problem(500, "internal_error", "an error of ours; it is logged, and asking again is safe")
        response = conditional(request, body)
        response.headers[ERASURES] = erasures
        return response

    return answer


def unavailable(error: Retryable) -> Response:
    """Return that a question could not be asked, or that there was no answer."""
    wait = {"Retry-After": str(max(1, round(error.retry_after_s)))}
    if isinstance(error, Busy):
        return problem(503, "busy", f"{error.detail}; ask again later", headers=wait)
    log.warning("question_not_answered", extra={"error": error.detail})
    detail = "ClickHouse does not answer, or not in time; ask again later. /readyz says whether the store is open"
    return problem(503, "unavailable", detail, headers=wait)


def conditional(request: Request, body: bytes) -> Response:
    """Return an answer, or that it is still the one that the client has."""
    tag = f'"{xxh3_128_hexdigest(body)}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
