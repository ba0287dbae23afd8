"""Styles and scripts, under addresses that change with their contents, so that browsers may keep them for good."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from xxhash import xxh3_64_hexdigest

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


class _Asset(NamedTuple):
    body: bytes
    packed: bytes
    digest: str
    type: str


@cache
def _read() -> dict[str, _Asset]:
    found: dict[str, _Asset] = {}
    root = files("services.console") / "static"
    for folder, prefix in ((root, ""), (root / "vendor", "vendor/")):
        for file in folder.iterdir():
            kind = _TYPES.get(file.name.rpartition(".")[2])
            if kind is not None:
                body = file.read_bytes()
                packed = gzip.compress(body, 9, mtime=0)
                found[prefix + file.name] = _Asset(body, packed, xxh3_64_hexdigest(body), kind)
    return found


def asset(name: str) -> str:
    """Return the address of a file in `static`."""
    return f"/static/{_read()[name].digest}/{name}"


async def serve_asset(request: Request) -> Response:
    """Answer a request for a file in `static`."""
    found = _read().get(request.path_params["name"])
    if found is None:
        return Response("no such file\n", 404, media_type="text/plain")
    headers = {"Vary": "Accept-Encoding", "Content-Type": found.type}
    if request.path_params["digest"] == found.digest:
        headers["Cache-Control"] = "public, max-age=31536000, immutable"
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, 200, {**headers, "Content-Encoding": "gzip"})
    return Response(found.body, 200, headers)
