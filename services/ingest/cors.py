"""
The cross-origin headers that browsers' SDKs need, on errors too: without them a browser sees no status at all.

The allowed headers are named one by one, since `*` does not cover Authorization by the Fetch standard, and include
x-retry-count, without which a browser lets the first attempt through and silently blocks every retry.
"""

from __future__ import annotations

Headers = list[tuple[bytes, bytes]]

_ALWAYS: Headers = [
    (b"access-control-allow-credentials", b"true"),
    (b"access-control-expose-headers", b"Retry-After, X-RateLimit-Reset"),
    (b"vary", b"Origin"),
]
_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, content-encoding, x-retry-count, x-write-key, anonymousid",
    ),
    (b"access-control-max-age", b"7200"),
]


def headers(origin: bytes) -> Headers:
    """Return what to add to an answer for a page of `origin`; nothing where a request names none."""
    return [(b"access-control-allow-origin", origin), *_ALWAYS] if origin else []


def preflight(origin: bytes) -> Headers:
    """Return the headers of the answer to OPTIONS."""
    return headers(origin) + _PREFLIGHT
