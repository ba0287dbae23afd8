"""
The cross-origin headers that browsers' SDKs need, on errors too: without them a browser sees no status at all.

The allowed headers are named one by one, since `*` does not cover Authorization by the Fetch standard, and include
x-retry-count, without which a browser lets the first attempt through and silently blocks every retry. The others are
RudderStack's (sentAt, anonymousId and those of its retries), and ours.
"""

from __future__ import annotations

Headers = list[tuple[bytes, bytes]]

_ALLOWED = (
    "authorization",
    "content-type",
    "content-encoding",
    "x-write-key",
    "x-retry-count",
    "anonymousid",
    "sentat",
    "rsa-recovered",
    "rsa-retry-attempt",
    "rsa-retry-reason",
    "rsa-since-first-attempt",
    "rsa-since-last-attempt",
    "tidemark-results",
)
_EXPOSED = ("Retry-After", "X-RateLimit-Reset", "X-RateLimit-Limit", "X-RateLimit-Remaining", "Tidemark-Code")
_ALWAYS: Headers = [
    (b"access-control-allow-credentials", b"true"),
    (b"access-control-expose-headers", ", ".join(_EXPOSED).encode()),
    (b"vary", b"Origin"),
]
_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", ", ".join(_ALLOWED).encode()),
    (b"access-control-max-age", b"7200"),
]


def headers(origin: bytes) -> Headers:
    """Return what to add to an answer for a page of `origin`; nothing where a request names none."""
    return [(b"access-control-allow-origin", origin), *_ALWAYS] if origin else []


def preflight(origin: bytes, *, allowed: bool) -> Headers:
    """Return the headers of the answer to OPTIONS; a browser blocks what names no allowed origin."""
    return headers(origin) + _PREFLIGHT if allowed else [(b"vary", b"Origin")]
