"""
The HTTP face of ingest, as a bare ASGI application: the three Segment dialects, CORS, errors as JSON.

Promises: never a 3xx or 410, which SDKs take for delivered or repeat for ever; CORS headers on every answer;
OPTIONS is answered before anything else; 429 always carries integer `Retry-After` and `X-RateLimit-Reset`. What is
not of ingest goes to `rest` (metrics and health). Who has no known write key is answered before its body is read.
"""

from __future__ import annotations

import base64
import binascii
import logging
import math
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import msgspec

from services.ingest import cors
from services.ingest.deadlines import KEEP
from services.ingest.errors import Code, Overloaded, status_of
from services.ingest.judged import STALLED_RETRY_S
from services.ingest.keys import WriteKey, WriteKeys
from services.ingest.metrics import IngestMetrics
from services.ingest.receiving import Gone, Incoming, Message, Receive, Reception, unknown_key
from services.ingest.service import Answer, IngestService, Submission
from services.shared.errors import Rejected, Retryable

log = logging.getLogger(__name__)

Scope = Message
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_KINDS = ("track", "identify", "page", "screen", "group", "alias")
ROUTES: dict[str, tuple[str, str]] = {
    **{f"/v1/{kind}": (kind, kind) for kind in _KINDS},
    **{f"/v1/{kind[0]}": (kind, kind) for kind in _KINDS},
    **dict.fromkeys(("/v1/batch", "/batch", "/v1/b", "/b", "/v1/import"), ("batch", "")),
}
"""Path -> (name of the endpoint in metrics, kind of its event or nothing for a batch)."""
_REST = frozenset({"/metrics", "/healthz", "/readyz"})
_SETTINGS = "/v1/projects/"
_SDK_METRICS = "/v1/m"
_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")
_REMEMBERED_HEADERS = 10_000
_LONGEST_AUTHORIZATION = 2_048


class IngestApp:
    """The ASGI application."""

    def __init__(
        self,
        *,
        service: IngestService,
        keys: WriteKeys,
        metrics: IngestMetrics,
        rest: App,
        max_body_bytes: int,
        max_buffered_bytes: int,
    ) -> None:
        self._service = service
        self._keys = keys
        self._metrics = metrics
        self._rest = rest
        self.reception = Reception(max_body_bytes, max_buffered_bytes)
        self._encode = msgspec.json.Encoder().encode
        self._known: dict[bytes, WriteKey] = {}
        self._known_version = keys.version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path = scope["path"].rstrip("/") if len(scope["path"]) > 1 else scope["path"]
        if path in _REST:
            await self._rest(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"")
        endpoint, kind = ROUTES.get(path, ("", ""))
        if not endpoint:
            endpoint = "settings" if path.startswith(_SETTINGS) else "sdk_metrics" if path == _SDK_METRICS else "other"
        if scope["method"] == "OPTIONS":
            self._metrics.requests.labels(endpoint, "204").inc()
            await _send(send, 204, b"", cors.preflight(origin))
            return
        status, body = 500, b""
        extra: cors.Headers = []
        incoming = Incoming(receive, headers)
        self._metrics.in_flight_requests.inc()
        try:
            status, body, extra = await self._answer(scope, incoming, headers, endpoint, kind)
        except Gone:
            self._metrics.requests.labels(endpoint, "499").inc()
            return
        except Rejected as error:
            status, body = status_of(error), self._error(error.code, error.field, error.detail)
            if status == 405:
                extra = [(b"allow", b"GET, OPTIONS" if endpoint == "settings" else b"POST, OPTIONS")]
        except Retryable as error:
            status, body, extra = self._push_back(error)
        except Exception:
            log.exception("request_failed", extra={"endpoint": endpoint})
            body = self._error(Code.INTERNAL_ERROR, "", "an error of ours; it is logged, and sending again is safe")
        finally:
            incoming.close()
            self._metrics.in_flight_requests.dec()
        self._metrics.requests.labels(endpoint, str(status)).inc()
        answer = [_JSON, *extra, *cors.headers(origin)]
        if incoming.small():
            await _send(send, status, body, answer)
            return
        await _send(send, status, body, [_CLOSE, *answer], last=False)
        await incoming.drop()
        await send({"type": "http.response.body", "body": b""})

    async def _answer(
        self, scope: Scope, incoming: Incoming, headers: dict[bytes, bytes], endpoint: str, kind: str
    ) -> tuple[int, bytes, cors.Headers]:
        method = scope["method"]
        if endpoint == "settings":
            return self._settings(scope, headers, method)
        if endpoint == "other":
            raise Rejected(Code.NOT_FOUND, "", "there is nothing here; events go to POST /v1/batch")
        if method != "POST":
            raise Rejected(Code.METHOD_NOT_ALLOWED, "", f"{method} is not taken here; use POST")
        if endpoint == "sdk_metrics":
            return 200, b'{"success":true}', []
        key = self._key(headers, scope["query_string"])
        if key is not None:
            _keep(scope)
        submission = Submission(
            body=await self._body(incoming, headers, key),
            encoding=headers.get(b"content-encoding", b"").decode("latin-1").strip().lower(),
            kind=kind,
            epoch=_epoch(headers),
            historical=headers.get(b"tidemark-historical", b"").lower() == b"true",
            all_results=headers.get(b"tidemark-results") == b"all" or b"results=all" in scope["query_string"],
        )
        answer = await self._service.submit(submission, key)
        if answer.put_off:
            return self._put_off(answer)
        if kind and answer.rejected:
            return 400, self._single_refused(answer), []
        return 200, self._encode(answer), []

    def _key(self, headers: dict[bytes, bytes], query: bytes) -> WriteKey | None:
        """Return the key that headers or query name; None where they name none and the body may."""
        given = headers.get(b"authorization", b"")
        if given[:6].lower() == b"basic ":
            if self._known_version != self._keys.version or len(self._known) > _REMEMBERED_HEADERS:
                self._known, self._known_version = {}, self._keys.version
            key = self._known.get(given)
            if key is None and len(given) <= _LONGEST_AUTHORIZATION:
                key = self._keys.find(_basic_user(given))
                if key is not None:  # what is unknown is not remembered: anybody can make up any number of it
                    self._known[given] = key
        elif b"x-write-key" in headers:
            key = self._keys.find(headers[b"x-write-key"].decode("latin-1"))
        elif b"writeKey=" in query:
            key = self._keys.find(parse_qs(query.decode("latin-1")).get("writeKey", [""])[0])
        else:
            return None
        if key is None:
            raise unknown_key()
        return key

    async def _body(self, incoming: Incoming, headers: dict[bytes, bytes], key: WriteKey | None) -> bytes:
        if key is None:
            encoding = headers.get(b"content-encoding", b"")
            body = await self.reception.without_key(incoming, encoding, lambda name: self._keys.find(name) is not None)
        else:
            body = await self.reception.with_key(incoming, key.source)
        self._metrics.body_bytes.inc(len(body))
        if key is not None and len(body) > self.reception.max_body_bytes:
            error = Rejected(
                Code.BODY_TOO_LARGE,
                "body",
                f"the body is over {self.reception.max_body_bytes} bytes; send smaller batches",
            )
            await self._service.refuse(body, key, error)
            raise error
        return body

    def _settings(self, scope: Scope, headers: dict[bytes, bytes], method: str) -> tuple[int, bytes, cors.Headers]:
        """Return what analytics.js asks for before it sends anything."""
        if method not in ("GET", "HEAD"):
            raise Rejected(Code.METHOD_NOT_ALLOWED, "", f"{method} is not taken here; use GET")
        write_key, _, rest = scope["path"].removeprefix(_SETTINGS).partition("/")
        if rest.rstrip("/") != "settings" or self._keys.find(write_key) is None:
            raise Rejected(Code.NOT_FOUND, "writeKey", "there is no such project")
        host = headers.get(b"host", b"").decode("latin-1")
        protocol = headers.get(b"x-forwarded-proto", scope.get("scheme", "http").encode()).decode("latin-1")
        allowed = {"__default": {"enabled": True}}
        settings = {
            "integrations": {"Segment.io": {"apiKey": write_key, "apiHost": f"{host}/v1", "protocol": protocol}},
            "plan": {
                "track": {"__default": {"enabled": True, "integrations": {}}},
                "identify": allowed,
                "group": allowed,
            },
            "metrics": {"sampleRate": 0},
        }
        return 200, b"" if method == "HEAD" else self._encode(settings), [(b"cache-control", b"public, max-age=300")]

    def _push_back(self, error: Retryable) -> tuple[int, bytes, cors.Headers]:
        code = Code.OVERLOADED if isinstance(error, Overloaded) else Code.LOG_UNAVAILABLE
        body = self._error(code, "", f"{error.detail}; nothing is lost, send it again later")
        return 429, body, _come_back(error.retry_after_s)

    def _put_off(self, answer: Answer) -> tuple[int, bytes, cors.Headers]:
        """Return the answer to a request of which a part was not taken: SDKs repeat it whole, and only for a 429."""
        message = f"{answer.put_off} of the events were not taken; send them again, or all of them, with the same ids"
        whole = msgspec.to_builtins(answer)
        body = self._encode({**whole, "code": Code.LOG_UNAVAILABLE, "field": "", "message": message})
        return 429, body, _come_back(STALLED_RETRY_S)

    def _error(self, code: str, field: str, detail: str) -> bytes:
        return self._encode({"success": False, "code": code, "field": field, "message": detail})

    def _single_refused(self, answer: Answer) -> bytes:
        fault = answer.results[0]
        whole = msgspec.to_builtins(answer)
        return self._encode({**whole, "code": fault.code, "field": fault.field, "message": fault.detail})


def _keep(scope: Scope) -> None:
    """Tell the server that this connection is of somebody known."""
    keep = scope.get("extensions", {}).get(KEEP)
    if keep is not None:
        keep()


def _come_back(after_s: float) -> cors.Headers:
    seconds = str(max(1, math.ceil(after_s))).encode()
    # Old browser SDKs read the second of these and take five seconds without it.
    return [(b"retry-after", seconds), (b"x-ratelimit-reset", seconds)]


def _basic_user(header: bytes) -> str:
    try:
        return base64.b64decode(header[6:].strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _epoch(headers: dict[bytes, bytes]) -> int | None:
    value = headers.get(b"tidemark-epoch")
    if value is None:
        return None
    if not value.isdigit() or len(value) > 18:
        raise Rejected(Code.INVALID_HEADER, "Tidemark-Epoch", "the epoch must be a whole number, 0 or more")
    return int(value)


async def _send(send: Send, status: int, body: bytes, headers: cors.Headers, *, last: bool = True) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", str(len(body)).encode()), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": not last})
