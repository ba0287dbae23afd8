"""
Undo gzip and deflate within a bound, so that a few kilobytes cannot become gigabytes.

gzip is known by its first bytes, not by the header: proxies and SDKs set one without the other.
"""

from __future__ import annotations

import zlib

from services.ingest.errors import Code
from services.shared.errors import Rejected

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW = 31, 15, -15


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """
    Return the body as text bytes, at most `limit` of them.

    Raises:
        Rejected: the encoding is unknown, the stream is damaged or cut short, or it holds more than `limit`.
    """
    if body.startswith(_GZIP_MAGIC):
        return _inflate(body, _GZIP, limit)
    if encoding in ("", "identity", "gzip", "x-gzip"):
        return body
    if encoding == "deflate":
        # The header means zlib by the standard and raw deflate by habit; JSON starts with neither's bytes.
        if body[:1] in (b"{", b"["):
            return body
        wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        return _inflate(body, _ZLIB if wrapped else _RAW, limit)
    raise Rejected(
        Code.UNSUPPORTED_ENCODING, "Content-Encoding", f"{encoding[:40]!r} is not known; send gzip, deflate or none"
    )


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    out = b""
    rest = body
    while rest:
        stream = zlib.decompressobj(window)
        try:
            part = stream.decompress(rest, limit + 1 - len(out))
        except zlib.error as error:
            raise Rejected(
                Code.MALFORMED_BODY, "body", f"the compressed body is damaged ({error}); send it again"
            ) from error
        out = out + part if out else part
        if len(out) > limit:
            raise Rejected(
                Code.DECOMPRESSED_TOO_LARGE,
                "body",
                f"the body is over {limit} bytes when decompressed; send smaller batches",
            )
        if not stream.eof:
            raise Rejected(Code.TRUNCATED_BODY, "body", "the compressed body ends too early; send it again, complete")
        # gzip allows several members in a row; anything else after the end is padding
        rest = stream.unused_data if window == _GZIP and stream.unused_data.startswith(_GZIP_MAGIC) else b""
    return out
