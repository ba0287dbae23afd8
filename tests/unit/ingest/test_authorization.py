"""Where a request names its write key, and what is no name of one."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, cast

import pytest

from services.ingest.http.call import Call
from services.ingest.write_keys.authorization import write_key


def named(query: bytes = b"", **headers: bytes) -> str | None:
    """Return the write key that a request with these headers names."""
    given = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return write_key(Call("POST", "/v1/batch", {}, query, given, cast("Any", None), {}))


def basic(credentials: bytes) -> bytes:
    return b"Basic " + b64encode(credentials)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (basic(b"key:"), "key"),
        (basic(b"key"), "key"),
        (basic(b"key:pass:word"), "key"),
        (basic(b":key"), ""),
        (b"bASIC " + b64encode(b"key:"), "key"),
        (b"Basic   " + b64encode(b"key:") + b" ", "key"),
        (basic("schlüssel:".encode()), "schlüssel"),
        (basic(b"\xff:"), ""),
        (b"Basic key", ""),
        (b"Basic ", ""),
        (basic(b"k" * 300 + b":"), "k" * 300),
        (basic(b"k" * 1_530 + b":"), ""),
    ],
)
def test_the_user_of_basic_authorization_is_the_key(header: bytes, key: str) -> None:
    assert named(authorization=header) == key


def test_a_key_is_looked_for_in_the_authorization_then_in_its_header_then_in_the_query() -> None:
    query = b"a=1&writeKey=of%20query"

    assert named(query, authorization=basic(b"key:"), x_write_key=b"other") == "key"
    assert named(query, authorization=b"Bearer key", x_write_key=b" other ") == "other"
    assert named(query) == "of query"
    assert named(query, x_write_key=b"") == ""
    assert named(b"a=1", authorization=b"Bearer key") is None
    assert named() is None
