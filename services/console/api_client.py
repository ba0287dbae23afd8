"""The query API as the console asks it: in the same process, or over the network."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import msgspec
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from tenacity import retry, retry_if_exception, wait_random_exponential

from services.console.recent import Recent
from services.shared.http.leaving import until_left

log = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(20.0, connect=5.0)
ANSWER_WITHIN_S = 20.0
"""So long a page waits for each of its answers; an API in this process has no other bound."""
STREAM_TIMEOUT = httpx.Timeout(60.0, connect=5.0, pool=5.0)
STREAM_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=0)
"""Streams have connections of their own, so that none that stays open takes one from a page."""
_PASSED_ON = (b"content-type", b"cache-control", b"retry-after", b"x-accel-buffering")
ERASURES = "tidemark-erasures"
"""A header of the API's answers: it changes when somebody was erased."""
KINDS = {400: "bad_request", 401: "unauthorized", 403: "unauthorized", 404: "not_found"}
"""What is wrong, by status; of any other the API is unavailable."""

PATIENCE_S = 2.0
"""So long a page waits for what it shows beside its own matter."""

Told = dict[str, Any]


class ApiError(Exception):
    """
    The API refused, or did not answer.

    `status` is its status, 503 where it did not answer; `code`, `field` and `detail` are its own words.
    """

    def __init__(self, status: int, code: str, field: str, detail: str) -> None:
        super().__init__(f"{status} {code} {field}: {detail}")
        self.status, self.code, self.field, self.detail = status, code, field, detail


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, ApiError) and error.code == "busy"


class Upstream(Protocol):
    """Where the API is."""

    client: httpx.AsyncClient
    recent: Recent

    async def relay(self, path: str, token: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the API as it streams, and its answer back."""


class InProcess:
    """The API as an ASGI app of this process."""

    def __init__(self, app: ASGIApp, checked: ASGIApp | None = None) -> None:
        """
        Take the API.

        Args:
            app: Without a check of who asks, for readers whom the console has let in.
            checked: With it, for those who come with a token; None: there are no tokens, so each is refused.
        """
        self._app = app
        self._checked = checked or _no_tokens
        self.recent = Recent()
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._chosen), base_url="http://tidemark.internal"
        )

    async def _chosen(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_token = any(name == b"authorization" for name, _ in scope["headers"])
        await (self._checked if has_token else self._app)(scope, receive, send)

    async def relay(self, path: str, token: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app itself: httpx's transport would wait for the end of a stream that has none."""
        headers = [(name, value) for name, value in scope["headers"] if name not in (b"authorization", b"cookie")]
        headers += [(name.encode(), value.encode()) for name, value in _bearer(token).items()]
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": "", "headers": headers}
        for name in ("app", "app_root_path", "router", "endpoint", "path_params"):
            inner.pop(name, None)
        await self._chosen(inner, receive, send)


async def _no_tokens(scope: Scope, receive: Receive, send: Send) -> None:
    told = {"code": "unauthorized", "detail": "the query API has no tokens, so no token signs anybody in"}
    await JSONResponse(told, 401)(scope, receive, send)


class Apart:
    """The API at an address."""

    def __init__(self, address: str) -> None:
        address = address.rstrip("/")
        self.client = httpx.AsyncClient(base_url=address, timeout=TIMEOUT)
        self.streams = httpx.AsyncClient(base_url=address, timeout=STREAM_TIMEOUT, limits=STREAM_LIMITS)
        self.recent = Recent()

    async def relay(self, path: str, token: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the stream and write what comes, until either side ends."""
        passing = await until_left(self._pass_on(path, token, scope, send), receive)
        if not passing.cancelled():
            passing.result()

    async def _pass_on(self, path: str, token: str | None, scope: Scope, send: Send) -> None:
        # What comes is passed on as it is, so a proxy in between must not pack it.
        headers = {"accept": "text/event-stream", "accept-encoding": "identity", **_bearer(token)}
        for name, value in scope["headers"]:
            if name == b"last-event-id":
                headers["last-event-id"] = value.decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        started = False
        try:
            async with self.streams.stream("GET", path + (f"?{query}" if query else ""), headers=headers) as answer:
                kept = [(n, v) for n, v in answer.headers.raw if n.lower() in _PASSED_ON]
                await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
                started = True
                async for part in answer.aiter_raw():
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        except httpx.HTTPError as error:
            log.warning("stream_failed", extra={"error": repr(error)})
            if not started:
                await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"5")]})
        await send({"type": "http.response.body", "body": b""})


class Api:
    """The API in the name of one reader."""

    def __init__(self, upstream: Upstream, token: str | None = None) -> None:
        self.upstream = upstream
        self.token = token

    async def get(self, path: str, **parameters: Any) -> Told:
        """
        Return the answer to a GET; parameters that are None or empty are left out.

        Raises:
            ApiError: it refused, or did not answer.
        """
        given = {name: _text(value) for name, value in parameters.items() if value not in (None, "", (), [])}
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._told(path, given)
        except httpx.InvalidURL as error:
            raise ApiError(400, "bad_request", "", "the address is too long") from error
        except (httpx.HTTPError, TimeoutError) as error:
            why = str(error) or f"not within {ANSWER_WITHIN_S:.0f} s"
            raise ApiError(503, "unavailable", "", f"the query API does not answer: {why}") from error

    # A page asks eight questions at once, so that a few pages of one reader are more than the API lets wait for their turn.
    @retry(retry=retry_if_exception(_is_busy), wait=wait_random_exponential(multiplier=0.05, max=1.0))
    async def _told(self, path: str, given: Mapping[str, str]) -> Told:
        answer = await self.upstream.client.get(path, params=given, headers=_bearer(self.token))
        if answer.status_code != httpx.codes.OK:
            raise _refused(answer)
        self.upstream.recent.note_erasures(answer.headers.get(ERASURES, ""))
        try:
            return msgspec.json.decode(answer.content, type=Told)
        except ValueError as error:
            detail = f"what answers in place of the query API says no JSON: {error}"
            raise ApiError(503, "unavailable", "", detail) from error

    async def get_recent(self, path: str, **parameters: Any) -> Told:
        """
        Return the answer to a GET, or one that is some seconds old and was given to somebody else.

        Raises:
            ApiError: it refused, or did not answer.
        """
        asked = False

        async def ask() -> Told:
            nonlocal asked
            asked = True
            return await self.get(path, **parameters)

        try:
            return await self.upstream.recent.get(f"{path} {sorted(parameters.items())}", ask)
        except ApiError as error:
            if asked or error.status != httpx.codes.UNAUTHORIZED:
                raise
            return await self.get(path, **parameters)  # it was asked with the token of somebody else, which is revoked

    async def get_soon(self, path: str) -> Told | None:
        """
        Return the answer to a GET as it was at most some minutes ago, for what a page shows beside its own matter.

        None where it does not come soon: the page has other things to tell, and its next reader has it.
        """
        try:
            return await asyncio.wait_for(self.get_recent(path), PATIENCE_S)
        except (ApiError, TimeoutError) as error:
            log.warning("not_told_soon", extra={"path": path, "error": str(error) or "no answer yet"})
            return None

    async def account(self, account: str, part: str = "", **parameters: Any) -> Told:
        """Return an account, or a `part` of what is known of it: history, events, people."""
        return await self.get(f"/v1/accounts/{in_path(account)}" + (f"/{part}" if part else ""), **parameters)


def in_path(account: str) -> str:
    """Return the id of an account as one segment of an address."""
    quoted = quote(account, safe="")
    return quoted.replace(".", "%2E") if account in {".", ".."} else quoted


def _bearer(token: str | None) -> Mapping[str, str]:
    return {} if token is None else {"authorization": f"Bearer {token}"}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _refused(answer: httpx.Response) -> ApiError:
    try:
        told = msgspec.json.decode(answer.content, type=Told)
    except ValueError:
        told = {}
    code = told.get("code") or KINDS.get(answer.status_code, "unavailable")
    detail = told.get("detail", answer.reason_phrase)
    return ApiError(answer.status_code, str(code), str(told.get("field", "")), str(detail))
