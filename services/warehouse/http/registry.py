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


def registry_routes(topic_prefix: str) -> list[Route]:
    """Return the routes; ids are those that the codec writes with, and topics are named as on this cluster."""
    subjects = _Subjects(topic_prefix)
    return [
        Route("/schemas/types", _types),
        Route("/schemas/ids/{id}", _schema),
        Route("/schemas/ids/{id}/schema", _schema_text),
        Route("/schemas/ids/{id}/subjects", subjects.of_schema),
        Route("/schemas/ids/{id}/versions", subjects.versions_of_schema),
        Route("/subjects", subjects.names),
        Route("/subjects/{subject}", subjects.look_up, methods=["POST"]),
        Route("/subjects/{subject}/versions", subjects.versions, methods=["GET", "POST"]),
        Route("/subjects/{subject}/versions/{version}", subjects.version),
        Route("/subjects/{subject}/versions/{version}/schema", subjects.version_text),
        Route("/config", _config),
        Route("/config/{subject}", _config),
    ]


class _Subjects:
    """The answers about subjects."""

    def __init__(self, topic_prefix: str) -> None:
        found: dict[str, list[released.SchemaFile]] = {}
        for file in released.FILES:
            found.setdefault(file.subject, []).append(file)
        for topic in TOPICS.values():
            if len(topic.records) == 1:
                files = [f for f in released.FILES if f.record == topic.records[0].record]
                found[f"{topic_prefix}{topic.name}-value"] = files
        self._files = dict(sorted(found.items()))

    async def names(self, _: Request) -> Response:
        return _answer(list(self._files))

    async def of_schema(self, request: Request) -> Response:
        file = _by_id(request)
        if file is None:
            return _error(404, _NO_SCHEMA, "Schema not found")
        return _answer([s for s, files in self._files.items() if file in files])

    async def versions_of_schema(self, request: Request) -> Response:
        file = _by_id(request)
        if file is None:
            return _error(404, _NO_SCHEMA, "Schema not found")
        return _answer([{"subject": s, "version": file.version} for s, files in self._files.items() if file in files])

    async def versions(self, request: Request) -> Response:
        if request.method == "POST":
            return _error(405, _READ_ONLY, "This registry is read-only: schemas change by releases of Tidemark")
        files = self._of(request)
        return _answer([f.version for f in files]) if files else _error(404, _NO_SUBJECT, "Subject not found")

    async def version(self, request: Request) -> Response:
        found = self._find_version(request)
        if isinstance(found, Response):
            return found
        return _answer(_described(request.path_params["subject"], found))

    async def version_text(self, request: Request) -> Response:
        found = self._find_version(request)
        return found if isinstance(found, Response) else Response(found.text, media_type=_MEDIA_TYPE)

    async def look_up(self, request: Request) -> Response:
        files = self._of(request)
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

    def _of(self, request: Request) -> list[released.SchemaFile]:
        return self._files.get(request.path_params["subject"], [])

    def _find_version(self, request: Request) -> released.SchemaFile | Response:
        files, wanted = self._of(request), request.path_params["version"]
        if not files:
            return _error(404, _NO_SUBJECT, "Subject not found")
        if wanted == "latest":
            return files[-1]
        if not (wanted.isascii() and wanted.isdigit() and wanted.strip("0")):
            return _error(422, _BAD_VERSION, "The version must be a whole number from 1, or 'latest'")
        version = int(wanted[:9])
        return next((f for f in files if f.version == version), None) or _error(404, _NO_VERSION, "Version not found")


async def _types(_: Request) -> Response:
    return _answer(["AVRO"])


async def _schema(request: Request) -> Response:
    file = _by_id(request)
    return _answer({"schema": file.text}) if file else _error(404, _NO_SCHEMA, "Schema not found")


async def _schema_text(request: Request) -> Response:
    file = _by_id(request)
    return Response(file.text, media_type=_MEDIA_TYPE) if file else _error(404, _NO_SCHEMA, "Schema not found")


async def _config(_: Request) -> Response:
    return _answer({"compatibilityLevel": "FULL_TRANSITIVE"})


def _by_id(request: Request) -> released.SchemaFile | None:
    wanted = request.path_params["id"]  # as text: Python makes no number of over 4,300 digits
    return next((f for f in released.FILES if str(codec.FILE_IDS[f.path]) == wanted), None)


def _described(subject: str, file: released.SchemaFile) -> dict[str, Any]:
    return {"subject": subject, "version": file.version, "id": codec.FILE_IDS[file.path], "schema": file.text}


def _answer(value: Any) -> Response:
    return Response(json.dumps(value), media_type=_MEDIA_TYPE)


def _error(status: int, code: int, message: str) -> Response:
    return Response(json.dumps({"error_code": code, "message": message}), status, media_type=_MEDIA_TYPE)
