"""The OpenAPI document, out of the code: the questions, their parameters, the shapes of their answers, the errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from services.warehouse.http import beside, problems, stream
from services.warehouse.http.answering import ERASURES
from services.warehouse.http.answers.records import ProblemAnswer
from services.warehouse.http.question import Question

Schema = dict[str, Any]

_REF = "#/components/schemas/{name}"
_ETAG = {
    "schema": {"type": "string"},
    "description": "Send it as If-None-Match to be told whether the answer is the same.",
}
_ERASURES = {
    "schema": {"type": "string"},
    "description": "Changes when somebody was erased: throw away answers that are kept.",
    "required": True,
}
_RETRY_AFTER = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait.", "required": True}
_CHALLENGE = {"schema": {"type": "string"}, "required": True}
_REFUSED = {
    400: "A parameter is wrong; `field` names it.",
    401: "The token is missing, unknown or expired.",
    404: "There is no such thing.",
    421: "Without tokens, only requests for loopback are taken.",
    431: "The address and the headers have more than 64 KB.",
    500: "An error of ours.",
    503: "ClickHouse does not answer, or too many questions are waiting.",
}
_HEADERS = {401: {"WWW-Authenticate": _CHALLENGE}, 503: {"Retry-After": _RETRY_AFTER}}


def document(questions: Sequence[Question], more: Sequence[str] = ()) -> bytes:
    """
    Return the document as JSON.

    Args:
        questions: What is asked.
        more: The addresses beside them, as they are routed.
    """
    shapes = [*(each.shape for each in questions), *(beside.SHAPES if more else ()), ProblemAnswer]
    _, components = msgspec.json.schema_components(shapes, ref_template=_REF)
    paths = {re.sub(r":path}", "}", each.path): {"get": _operation(each)} for each in questions}
    paths["/v1/stream"] = {"get": _stream()}
    paths["/openapi.json"] = {"get": _itself()}
    paths |= {path.replace(":path", ""): {"get": beside.operation(path, _refused, _in_path)} for path in more}
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemark query API",
            "version": "1",
            "description": "Accounts, signals and what came in. Times are ISO 8601 in UTC, scores are points from 0 to 100.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {_name(status): _refusal(status) for status in _REFUSED},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made by `tidemark tokens create`; on loopback it may not be needed.",
                }
            },
        },
    }
    return msgspec.json.encode(whole)


def _operation(question: Question) -> Schema:
    inside = re.findall(r"{(\w+)(?::path)?}", question.path)
    statuses = [status for status in _REFUSED if status != HTTPStatus.NOT_FOUND or inside]
    return {
        "operationId": re.sub(r"[^a-z0-9]+", "_", question.path.replace(":path", "")).strip("_"),
        "summary": question.summary,
        "parameters": [_in_path(name) for name in inside] + [beside.in_query(each) for each in question.parameters],
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": {"ETag": {**_ETAG, "required": True}, ERASURES: _ERASURES},
                "content": {"application/json": {"schema": _ref(question.shape)}},
            },
            "304": {
                "description": "The answer is still the one with the ETag in If-None-Match.",
                "headers": {"ETag": _ETAG, ERASURES: _ERASURES},
            },
            **_refused(*statuses),
        },
    }


def _itself() -> Schema:
    return {
        "operationId": "openapi_json",
        "summary": "This document.",
        "responses": {
            "200": {"description": "The document.", "content": {"application/json": {"schema": {"type": "object"}}}},
            "304": {"description": "It is still the one with the ETag in If-None-Match."},
            **_refused(401, 421, 431),
        },
    }


def _stream() -> Schema:
    events = {"text/event-stream": {"schema": {"type": "string"}}}
    return {
        "operationId": "v1_stream",
        "summary": "Health and signals as they are stored, as server-sent events.",
        "description": (
            "`health` and `signal` have the form of the lists; `forgotten` names an account that is gone; after `reload`, ask"
            " for the lists again. `ready` comes first. Send the id of the last event as Last-Event-ID to go on there."
        ),
        "parameters": [
            *(beside.in_query(each) for each in stream.PARAMETERS),
            {"in": "header", "name": "Last-Event-ID", "schema": {"type": "string"}},
        ],
        "responses": {
            "200": {"description": "The stream; it ends after a quarter of an hour at the latest.", "content": events},
            **_refused(400, 401, 421, 431, 503),
        },
    }


def _refused(*statuses: int) -> Schema:
    return {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in statuses}


def _in_path(name: str) -> Schema:
    about = f"The {name}'s id, percent-encoded, slashes too."
    return {
        "in": "path",
        "name": name,
        "required": True,
        "description": about,
        "schema": {"type": "string", "minLength": 1},
    }


def _refusal(status: int) -> Schema:
    content: Schema = {problems.MEDIA_TYPE: {"schema": _ref(ProblemAnswer)}}
    if status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        content = {"text/plain": {"schema": {"type": "string"}}}
    if status == HTTPStatus.BAD_REQUEST:
        content["text/plain"] = {"schema": {"type": "string"}}  # of an address that is over 64 KB, from the HTTP parser
    return {"description": _REFUSED[status], "content": content, "headers": _HEADERS.get(status, {})}


def _ref(shape: type) -> Schema:
    return {"$ref": _REF.format(name=shape.__name__)}


def _name(status: int) -> str:
    return re.sub(r"\W", "", HTTPStatus(status).phrase.title())
