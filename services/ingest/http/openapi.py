"""
The OpenAPI document, out of the code: the routes of the dialects, the limits that are set, the codes that are sent.

It describes what is answered. What is accepted is described as far as it is the same for every event: an event is judged
by `domain.admission`, and one that a schema could refuse costs nothing but itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from services.ingest.dialects.registry import RouteTable
from services.ingest.dialects.route import About, HttpRoute
from services.ingest.domain.limits import Limits
from services.ingest.errors import OF_ANY_REQUEST, STATUS, Code
from services.ingest.submission import Answer

Schema = dict[str, Any]

_REF = "#/components/schemas/{name}"
_SECURITY = {
    "basic": {"type": "http", "scheme": "basic", "description": "The write key as the user name, without a password."},
    "header": {"type": "apiKey", "in": "header", "name": "X-Write-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "writeKey"},
}
_WAIT = {"schema": {"type": "integer", "minimum": 1}}
_COME_BACK = {
    "Retry-After": {**_WAIT, "required": True, "description": "Seconds after which to send the same again."},
    "X-RateLimit-Reset": {**_WAIT, "required": True, "description": "The same, for older SDKs."},
}
_TEXT = {"200": {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}}
_READY = {"description": "Whether it takes events, and why not.", "content": {"application/json": {"schema": {}}}}
_OF_THE_PROCESS = {
    "/metrics": {"get": {"operationId": "metrics", "summary": "Metrics for Prometheus.", "responses": _TEXT}},
    "/healthz": {
        "get": {
            "operationId": "healthz",
            "summary": "503: restart the process.",
            "responses": {**_TEXT, "503": {**_TEXT["200"], "description": "Why."}},
        }
    },
    "/readyz": {
        "get": {"operationId": "readyz", "summary": "Readiness.", "responses": {"200": _READY, "503": _READY}},
    },
}


def document(table: RouteTable, limits: Limits) -> bytes:
    """Return the document as JSON."""
    _, answers = msgspec.json.schema_components([Answer], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    refused: dict[str, Schema] = {}
    for route in table.routes:
        paths[route.path][route.method.lower()] = _operation(route, refused)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemark ingest",
            "version": "1",
            "description": "Takes events in Segment's format. 200 means that Kafka has every record of the request.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {**paths, **_OF_THE_PROCESS},
        "components": {
            "schemas": {**answers, "Event": _event(limits), "Batch": _batch(limits), "Refusal": _REFUSAL},
            "responses": refused,
            "securitySchemes": _SECURITY,
        },
    }
    return msgspec.json.encode(whole)


def _operation(route: HttpRoute, refused: dict[str, Schema]) -> Schema:
    about = route.about
    name = re.sub(r"[^a-z0-9]+", "_", f"{route.method} {route.path}".lower()).strip("_")
    inside = [_parameter("path", name) for name in re.findall(r"{(\w+)}", route.path)]
    operation: Schema = {
        "operationId": name,
        "summary": about.summary or route.endpoint,
        "parameters": inside + [_parameter("query", name) for name in about.parameters],
        "responses": _responses(about, refused),
    }
    if about.keyed:
        # The last: the key may be in the body.
        operation["security"] = [*({scheme: []} for scheme in _SECURITY), *([{}] if about.body else [])]
    if about.body:
        content = {"application/json": {"schema": _ref(about.body)}}
        operation["requestBody"] = {"description": "The type does not matter.", "required": True, "content": content}
    return operation


def _responses(about: About, refused: dict[str, Schema]) -> Schema:
    """Return the responses of a route; refusals that several routes share are put into `refused`."""
    schema = _ref(about.answer) if about.answer else {}
    found: Schema = {
        "200": {"description": "Taken, or the answer.", "content": {about.content_type: {"schema": schema}}}
    }
    by_status: dict[int, list[Code]] = defaultdict(list)
    for code in (*about.codes, *OF_ANY_REQUEST):
        by_status[STATUS.get(code, 400)].append(code)
    for status, codes in sorted(by_status.items()):
        response = _refused(status, codes, about.content_type)
        name = next((name for name, known in refused.items() if known == response), f"Refused{len(refused) + 1}")
        refused[name] = response
        found[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return found


def _refused(status: int, codes: Iterable[Code], content_type: str) -> Schema:
    code = {"properties": {"code": {"enum": sorted(codes)}}}
    json_schema = {"allOf": [_ref("Refusal"), code]}
    # What the connection itself answers is JSON everywhere.
    content: Schema = {"application/json": {"schema": json_schema}}
    if content_type != "application/json":
        content[content_type] = {"schema": {}}
    response: Schema = {"description": f"{HTTPStatus(status).phrase}.", "content": content}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        response["headers"] = _COME_BACK
    return response


def _parameter(place: str, name: str) -> Schema:
    schema = {"type": "string"}
    if name == "results":
        schema = {"type": "string", "enum": ["all"]}  # type: ignore[dict-item]
    return {"in": place, "name": name, "required": place == "path", "schema": schema}


def _ref(name: str) -> Schema:
    return {"$ref": _REF.format(name=name)}


_REFUSAL: Schema = {
    "title": "Refusal",
    "description": "Why a request was not taken, or not all of it. A refused event has its verdict beside it.",
    "type": "object",
    "required": ["success", "code", "field", "message"],
    "properties": {
        "success": {"const": False},
        "code": {"type": "string"},
        "field": {"type": "string"},
        "message": {"type": "string", "minLength": 1},
    },
}


def _event(limits: Limits) -> Schema:
    identifier = {"type": ["string", "integer", "null"], "maxLength": limits.id_chars}
    name = {"type": ["string", "null"], "maxLength": limits.name_chars}
    members = {"type": ["object", "null"]}
    return {
        "title": "Event",
        "description": f"At most {limits.event_bytes} bytes, nested at most {limits.depth} deep.",
        "type": "object",
        "properties": {
            "type": {
                "type": ["string", "null"],
                "enum": ["track", "identify", "page", "screen", "group", "alias", None],
            },
            **dict.fromkeys(("messageId", "userId", "anonymousId", "groupId", "previousId"), identifier),
            **dict.fromkeys(("event", "name"), name),
            **dict.fromkeys(("properties", "traits", "context"), members),
            "timestamp": {"type": ["string", "integer", "null"]},
        },
    }


def _batch(limits: Limits) -> Schema:
    return {
        "title": "Batch",
        "description": f"At most {limits.body_bytes} bytes, before and after decompression.",
        "type": "object",
        "required": ["batch"],
        "properties": {
            "batch": {"type": "array", "maxItems": limits.batch_events, "items": _ref("Event")},
            "context": {"type": ["object", "null"]},
            "sentAt": {"type": ["string", "null"], "format": "date-time"},
            "writeKey": {"type": ["string", "null"]},
        },
    }
