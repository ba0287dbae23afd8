"""
The read-only part of the Confluent Schema Registry API, so that standard Avro consumers need no registry.

Point `schema.registry.url` at this service. Subjects are the full names of the records, and `<topic>-value` for
each topic that carries one record. Nothing can be registered: schemas change by releases of Tidemark.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas import codec, released
from schemas.topics import TOPICS

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_NO_SUBJECT, _NO_VERSION, _NO_SCHEMA, _BAD_VERSION, _READ_ONLY = 40401, 40402, 40403, 42202, 40501
_BAD_SCHEMA, _TOO_LARGE = 42201, 41301
_LONGEST = 256 * 1024
"""Bytes of a schema that is looked up, many times those of the longest here: anybody may ask, without a token."""


def registry_routes() -> list[Route]:
    """Return the routes; ids are those that the codec writes with."""
    return [
        Route("/schemas/types", _types),
        Route("/schemas/ids/{id}", _schema),
        Route("/schemas/ids/{id}/schema", _schema_text),
        Route("/schemas/ids/{id}/subjects", _schema_subjects),
        Route("/schemas/ids/{id}/versions", _schema_versions),
        Route("/subjects", _subjects),
        Route("/subjects/{subject}", _lookup, methods=["POST"]),
        Route("/subjects/{subject}/versions", _versions, methods=["GET", "POST"]),
        Route("/subjects/{subject}/versions/{version}", _version),
        Route("/subjects/{subject}/versions/{version}/schema", _version_text),
        Route("/config", _config),
        Route("/config/{subject}", _config),
    ]


def _by_subject() -> dict[str, list[released.SchemaFile]]:
    found: dict[str, list[released.SchemaFile]] = {}
    for file in released.FILES:
        found.setdefault(file.subject, []).append(file)
    for topic in TOPICS.values():
        if len(topic.records) == 1:
            found[f"{topic.name}-value"] = [f for f in released.FILES if f.record == topic.records[0].record]
    return dict(sorted(found.items()))


def _of(request: Request) -> list[released.SchemaFile]:
    return _by_subject().get(request.path_params["subject"], [])


async def _types(_: Request) -> Response:
    return _answer(["AVRO"])


async def _schema(request: Request) -> Response:
    file = _by_id(request)
    return _answer({"schema": file.text}) if file else _error(404, _NO_SCHEMA, "Schema not found")


async def _schema_text(request: Request) -> Response:
    file = _by_id(request)
    return Response(file.text, media_type=_MEDIA_TYPE) if file else _error(404, _NO_SCHEMA, "Schema not found")


async def _schema_subjects(request: Request) -> Response:
    file = _by_id(request)
    return (
        _answer([s for s, files in _by_subject().items() if file in files])
        if file
        else _error(404, _NO_SCHEMA, "Schema not found")
    )


async def _schema_versions(request: Request) -> Response:
    file = _by_id(request)
    if file is None:
        return _error(404, _NO_SCHEMA, "Schema not found")
    return _answer([{"subject": s, "version": file.version} for s, files in _by_subject().items() if file in files])


async def _subjects(_: Request) -> Response:
    return _answer(list(_by_subject()))


async def _versions(request: Request) -> Response:
    if request.method == "POST":
        return _error(405, _READ_ONLY, "This registry is read-only: schemas change by releases of Tidemark")
    files = _of(request)
    return _answer([f.version for f in files]) if files else _error(404, _NO_SUBJECT, "Subject not found")


async def _version(request: Request) -> Response:
    found = _find_version(request)
    if isinstance(found, Response):
        return found
    return _answer(_described(request.path_params["subject"], found))


async def _version_text(request: Request) -> Response:
    found = _find_version(request)
    return found if isinstance(found, Response) else Response(found.text, media_type=_MEDIA_TYPE)


async def _lookup(request: Request) -> Response:
    files = _of(request)
    if not files:
        return _error(404, _NO_SUBJECT, "Subject not found")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST:
            return _error(413, _TOO_LARGE, f"The schema has over {_LONGEST} bytes")
    try:
        wanted = json.loads(json.loads(body)["schema"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return _error(422, _BAD_SCHEMA, "Invalid schema")
    for file in files:
        if json.loads(file.text) == wanted:
            return _answer(_described(request.path_params["subject"], file))
    return _error(404, _NO_SCHEMA, "Schema not found")


async def _config(_: Request) -> Response:
    return _answer({"compatibilityLevel": "FULL_TRANSITIVE"})


def _by_id(request: Request) -> released.SchemaFile | None:
    wanted = request.path_params["id"]  # as text: Python makes no number of over 4,300 digits
    return next((f for f in released.FILES if str(codec.FILE_IDS[f.path]) == wanted), None)


def _find_version(request: Request) -> released.SchemaFile | Response:
    files, wanted = _of(request), request.path_params["version"]
    if not files:
        return _error(404, _NO_SUBJECT, "Subject not found")
    if wanted == "latest":
        return files[-1]
    if not (wanted.isascii() and wanted.isdigit() and wanted.strip("0")):
        return _error(422, _BAD_VERSION, "The version must be a whole number from 1, or 'latest'")
    version = int(wanted[:9])
    return next((f for f in files if f.version == version), None) or _error(404, _NO_VERSION, "Version not found")


def _described(subject: str, file: released.SchemaFile) -> dict[str, Any]:
    return {"subject": subject, "version": file.version, "id": codec.FILE_IDS[file.path], "schema": file.text}


def _answer(value: Any) -> Response:
    return Response(json.dumps(value), media_type=_MEDIA_TYPE)


def _error(status: int, code: int, message: str) -> Response:
    return Response(json.dumps({"error_code": code, "message": message}), status, media_type=_MEDIA_TYPE)
