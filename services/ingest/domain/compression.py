"""
Undo gzip and deflate within a bound, so that a few kilobytes cannot become gigabytes.

gzip is known by its first bytes, not by the header: proxies and SDKs set one without the other.

The work is done in slices, since what takes long is not what is large: a stream of four megabytes may hold 400,000
empty blocks, each of which builds its tables anew.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator

from services.ingest.errors import Code
from services.shared.errors import Rejected

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW = 31, 15, -15
_SLICE_IN = 16 * 1024
_SLICE_OUT = 64 * 1024
_MEMBERS = 16
"""gzip members in a row that are taken. Senders make one; each further one costs its set-up, however small it is."""


def decompress(body: bytes, encoding: str, limit: int) -> Generator[int, None, bytes]:
    """
    Return the body as text bytes, at most `limit` of them.

    Yields the bytes that it holds, after each slice of at most a few milliseconds.

    Raises:
        Rejected: the encoding is unknown, the stream is damaged or cut short, or it holds more than `limit`.
    """
    if body.startswith(_GZIP_MAGIC):
        return (yield from _inflate(body, _GZIP, limit))
    if encoding in ("", "identity", "gzip", "x-gzip"):
        return body
    if encoding == "deflate":
        # The header means zlib by the standard and raw deflate by habit; JSON starts with neither's bytes.
        if body[:1] in (b"{", b"["):
            return body
        wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        return (yield from _inflate(body, _ZLIB if wrapped else _RAW, limit))
    raise Rejected(
        Code.UNSUPPORTED_ENCODING, "Content-Encoding", f"{encoding[:40]!r} is not known; send gzip, deflate or none"
    )


def _inflate(body: bytes, window: int, limit: int) -> Generator[int, None, bytes]:
    parts: list[bytes] = []
    size = at = 0
    members = 1
    stream = zlib.decompressobj(window)
    waiting = b""
    while True:
        if not waiting:
            waiting = body[at : at + _SLICE_IN]
            at += len(waiting)
        ended = not waiting
        try:
            part = stream.decompress(waiting, _SLICE_OUT)
        except zlib.error as error:
            raise Rejected(
                Code.MALFORMED_BODY, "body", f"the compressed body is damaged ({error}); send it again"
            ) from error
        waiting = stream.unconsumed_tail
        parts.append(part)
        size += len(part)
        if size > limit:
            raise Rejected(
                Code.DECOMPRESSED_TOO_LARGE,
                "body",
                f"the body is over {limit} bytes when decompressed; send smaller batches",
            )
        if stream.eof:
            # Several members may follow each other; anything else after the end is padding.
            at -= len(stream.unused_data)
            waiting = b""
            if window != _GZIP or not body.startswith(_GZIP_MAGIC, at):
                return b"".join(parts)
            members += 1
            if members > _MEMBERS:
                raise Rejected(
                    Code.MALFORMED_BODY, "body", f"over {_MEMBERS} gzip members in one body; compress it as one"
                )
            stream = zlib.decompressobj(window)
        elif ended and not part:
            raise Rejected(Code.TRUNCATED_BODY, "body", "the compressed body ends too early; send it again, complete")
        yield size
