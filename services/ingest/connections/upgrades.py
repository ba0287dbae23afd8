"""
Serve a request that offers another protocol as plain HTTP/1.1, as RFC 9110 allows: the client goes on with that.

The JDK's HttpClient and `curl --http2` offer h2c with every request. The parser takes such an offer for granted and
ends the message at its headers, body or not. So the head is put together again without the offer and parsed anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httptools

_OFFER = frozenset({b"upgrade", b"http2-settings"})


def new_parser(protocol: Any) -> httptools.HttpRequestParser:
    """Return a parser that is set up as uvicorn's are."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def head_without_offer(method: str, url: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the head of a request without what offers another protocol."""
    lines = [b" ".join((method.encode(), url, b"HTTP/" + version.encode()))]
    for name, value in headers:
        if name == b"connection":
            tokens = [token for token in value.split(b",") if token.strip().lower() not in _OFFER]
            if tokens:
                lines.append(b"connection: " + b",".join(tokens))
        elif name not in _OFFER:
            lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])
