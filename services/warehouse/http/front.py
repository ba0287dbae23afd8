"""Which address is whose: the query API's, or that of what is served beside it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

_DOCUMENT = "/openapi.json"
_PREFIX = "/v1/"


def api_or(api: ASGIApp, others: ASGIApp) -> ASGIApp:
    """Return an application that gives the addresses of the query API to `api`, and all others to `others`."""

    async def by_address(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        chosen = api if path.startswith(_PREFIX) or path == _DOCUMENT else others
        await chosen(scope, receive, send)

    return by_address
