"""Answers of the connection itself, to what never became a request."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from services.ingest.errors import STATUS, Code
from services.ingest.http import cors


@dataclass(frozen=True, slots=True)
class Canned:
    """An answer that is known beforehand; the connection ends with it."""

    code: Code
    message: str
    retry_after_s: int = 0

    def encode(self, origin: bytes) -> bytes:
        """Return it as bytes for the wire; `origin` is that of the page that asked, empty if none is known."""
        status = HTTPStatus(STATUS[self.code])
        document = {"success": False, "code": self.code, "field": "", "message": self.message}
        body = msgspec.json.encode(document)
        headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *cors.headers(origin)]
        if self.retry_after_s:
            seconds = str(self.retry_after_s).encode()
            headers += [(b"retry-after", seconds), (b"x-ratelimit-reset", seconds)]
        headers.append((b"content-length", str(len(body)).encode()))
        lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), *(b": ".join(header) for header in headers)]
        return b"\r\n".join([*lines, b"", body])


TIMED_OUT = Canned(Code.REQUEST_TIMEOUT, "the request did not arrive in full")
HEADERS = Canned(Code.HEADERS_TOO_LARGE, "send at most 100 headers, 64 KB")
URL = Canned(Code.URL_TOO_LONG, "send a URL of at most 8 KB")
CHUNKS = Canned(Code.MALFORMED_BODY, "the chunks of the body are too small; send larger ones")
MALFORMED = Canned(Code.MALFORMED_REQUEST, "this is not a request of HTTP/1.1")
HOST = Canned(Code.MALFORMED_REQUEST, "a request of HTTP/1.1 has the header Host, and has it once")
TUNNEL = Canned(Code.METHOD_NOT_ALLOWED, "CONNECT is not taken here; events go to POST /v1/batch")
WAITING = Canned(
    Code.OVERLOADED,
    "requests that do not wait for the answers to those before them may have 32 KB of bodies; send this one again",
    retry_after_s=1,
)
FULL = Canned(Code.OVERLOADED, "too many connections; nothing is lost, send it again later", retry_after_s=5)
