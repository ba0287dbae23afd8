"""Errors as problem details (RFC 9457): each says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.warehouse.http.answers.records import ProblemAnswer

MEDIA_TYPE = "application/problem+json"


def problem(status: int, code: str, detail: str, field: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as an answer."""
    told = ProblemAnswer(
        type=f"urn:tidemark:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        field=field,
    )
    return Response(msgspec.json.encode(told), status, headers, MEDIA_TYPE)


def no_such_address(request: Request, _: Exception) -> Response:
    """Answer a request for an address that does not exist."""
    detail = f"there is nothing at {unquote(request.scope['path'])[:200]!r}; /openapi.json lists what there is"
    return problem(404, "not_found", detail)


def no_such_method(request: Request, _: Exception) -> Response:
    """Answer a method that is not taken."""
    detail = f"{request.method[:20]} is not taken: the query API only reads, with GET"
    return problem(405, "method_not_allowed", detail, headers={"Allow": "GET, HEAD"})
