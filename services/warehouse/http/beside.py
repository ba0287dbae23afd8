"""
What is answered beside the questions, for the OpenAPI document.

Each address that an application adds is described here; one that is not stops the process at its start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from services.warehouse.domain.disclosure import PERSONAL_TABLES
from services.warehouse.domain.erasing import LINKED
from services.warehouse.domain.parameters import Parameter
from services.warehouse.http.answers.traces import TracesAnswer
from services.warehouse.views import VIEWS

Schema = dict[str, Any]
Refusals = Callable[..., Mapping[str, Schema]]
"""Returns the answers of some statuses."""

SHAPES = (TracesAnswer,)
_FORMATS = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv", "ndjson": "application/x-ndjson"}
_DAY = {"type": "string", "format": "date"}


def operation(path: str, refused: Refusals, inside: Callable[[str], Schema]) -> Schema:
    """
    Return the description of an address.

    Args:
        path: As it is routed.
        refused: Describes answers of statuses.
        inside: Describes a parameter that stands in the address.

    Raises:
        KeyError: it is not described here.
    """
    made = _OPERATIONS[path](refused)
    names = re.findall(r"{(\w+)(?::path)?}", path)
    made["parameters"] = [
        *(inside(name) for name in names if name not in ("view", "table")),
        *made.get("parameters", []),
    ]
    return {"operationId": re.sub(r"[^a-z0-9]+", "_", path.replace(":path", "")).strip("_"), **made}


def in_query(parameter: Parameter) -> Schema:
    """Return the description of a parameter that stands behind the address."""
    return {"in": "query", "name": parameter.name, "description": parameter.about, "schema": parameter.schema()}


def _traces(of: str, *parameters: Parameter) -> Callable[[Refusals], Schema]:
    def described(refused: Refusals) -> Schema:
        told = {"application/json": {"schema": {"$ref": f"#/components/schemas/{TracesAnswer.__name__}"}}}
        return {
            "summary": f"What is stored of {of}, and which erasures of it were ordered.",
            "parameters": [in_query(each) for each in parameters],
            "responses": {"200": {"description": "The answer.", "content": told}, **refused(400, 401, 421, 431, 503)},
        }

    return described


def _export(refused: Refusals) -> Schema:
    binary = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    content = {kind: binary if name == "parquet" else {"schema": {"type": "string"}} for name, kind in _FORMATS.items()}
    return {
        "summary": "A view whole, as a file. One export runs at a time.",
        "parameters": [
            {"in": "path", "name": "view", "required": True, "schema": {"type": "string", "enum": list(VIEWS)}},
            {
                "in": "query",
                "name": "format",
                "schema": {"type": "string", "enum": list(_FORMATS), "default": "parquet"},
            },
            {"in": "query", "name": "from", "description": "The first day, of views that have days.", "schema": _DAY},
            {"in": "query", "name": "until", "description": "The last day, of views that have days.", "schema": _DAY},
        ],
        "responses": {
            "200": {"description": "The file.", "content": content},
            **refused(400, 401, 404, 421, 431, 503),
        },
    }


def _rows(refused: Refusals) -> Schema:
    content = {_FORMATS["ndjson"]: {"schema": {"type": "string"}}}
    tables = {"type": "string", "enum": list(PERSONAL_TABLES)}
    return {
        "summary": "What a table has of a person, by pseudonym. It takes turns with exports.",
        "parameters": [
            {"in": "path", "name": "table", "required": True, "schema": tables},
        ],
        "responses": {
            "200": {"description": "One row a line.", "content": content},
            **refused(400, 401, 404, 421, 431, 503),
        },
    }


_OPERATIONS: Mapping[str, Callable[[Refusals], Schema]] = {
    "/v1/traces/people/{user}": _traces("a person, by pseudonym", LINKED),
    "/v1/traces/accounts/{account:path}": _traces("an account"),
    "/v1/traces/people/{user}/{table}": _rows,
    "/v1/export/{view}": _export,
}
