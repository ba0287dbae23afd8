"""Where a request names its write key: in a header or in the query; the body is looked through elsewhere."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache

from services.ingest.http.call import Call

_LONGEST_AUTHORIZATION = 2_048
_LONGEST_REMEMBERED = 256
"""A bound on what the memory of headers takes, whoever makes them up: 1 MB."""


def write_key(call: Call) -> str | None:
    """Return the write key as Basic authorization, X-Write-Key or the query has it; None if none of them does."""
    given = call.headers.get(b"authorization", b"")
    if given[:6].lower() == b"basic ":
        return _remembered(given) if len(given) <= _LONGEST_REMEMBERED else _user_of(given)
    if b"x-write-key" in call.headers:
        return call.header(b"x-write-key")
    if b"writeKey=" in call.query:
        return call.argument("writeKey")
    return None


def _user_of(header: bytes) -> str:
    if len(header) > _LONGEST_AUTHORIZATION:
        return ""
    try:
        return base64.b64decode(header[6:].strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


_remembered = lru_cache(maxsize=4_096)(_user_of)
