"""The API's stream of what happens, passed on to the reader's browser."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.console.api_client import Api
from services.console.rendering import Visit

STREAM = "/v1/stream"


class LiveStream(Response):
    """Server-sent events, as the API sends them."""

    def __init__(self, api: Api) -> None:
        super().__init__(media_type="text/event-stream")
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay until either side ends."""
        await self._api.upstream.relay(STREAM, self._api.token, scope, receive, send)


async def relay(visit: Visit) -> Response:
    """Return the stream."""
    return LiveStream(visit.api)
