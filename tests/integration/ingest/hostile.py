"""Bodies that cost their sender little, or nothing but its bandwidth, and are meant to cost us much."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

_FULL = 4_190_000
"""Just below the limit of a body, so that no bound on size answers for the work."""


def _of(start: bytes, piece: bytes, end: bytes, size: int = _FULL) -> bytes:
    return start + piece * ((size - len(start) - len(end)) // len(piece)) + end


def _event(properties: bytes) -> bytes:
    return b'{"type":"track","event":"x","userId":"u","groupId":"g","properties":' + properties + b"}"


def _events(piece: bytes) -> bytes:
    """As many events of the largest size as a body holds."""
    one = _event(_of(b'{"a":[', piece + b",", piece + b"]}", 32_600))
    return b'{"batch":[' + b",".join([one] * (_FULL // (len(one) + 1))) + b"]}"


def _blocks(block: bytes, size: int) -> bytes:
    return b"\x1f\x8b\x08\0\0\0\0\0\0\3" + block * (size // len(block))


def _empty_dynamic_blocks() -> bytes:
    """Return four deflate blocks (45 bytes) that hold nothing, each with code tables that the reader has to build."""
    bits = ""

    def put(value: int, width: int) -> None:
        nonlocal bits
        bits += format(value, f"0{width}b")[::-1]

    for _ in range(4):
        put(0, 1)  # not the last
        put(2, 2)  # with tables of its own
        put(0, 5)  # 257 codes for text and end,
        put(0, 5)  # 1 for distances,
        put(14, 4)  # 18 for the lengths of codes, of which two are used: 18, zeros in a row, and 1
        for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1):
            put(int(symbol in (18, 1)), 3)
        for zeros in (138, 118):
            put(1, 1)
            put(zeros - 11, 7)
        put(0, 3)  # the end has a code, a distance has one, and here is the end
    return int(bits[::-1], 2).to_bytes(len(bits) // 8, "little")


_GOOD = {"type": "track", "event": "Opened", "userId": "ann", "groupId": "acme"}

BODIES: dict[str, Callable[[], bytes]] = {
    "commas in 4 KB": lambda: gzip.compress(_of(b'{"batch":[', b",", b"]}")),
    "200,000 empty gzip members": lambda: gzip.compress(b"") * 200_000,
    "42,000 small gzip members": lambda: gzip.compress(b" " * 95) * 42_000,
    "deflate blocks with tables and little in them": lambda: _blocks(_empty_dynamic_blocks(), _FULL),
    "empty stored blocks": lambda: _blocks(b"\0\0\0\xff\xff", _FULL),
    "empty events": lambda: gzip.compress(_of(b'{"batch":[', b"{},", b"{}]}")),
    "digits for events": lambda: gzip.compress(_of(b'{"batch":[', b"1,", b"1]}")),
    "digits and a NaN": lambda: gzip.compress(_of(b'{"batch":[', b"1,", b"NaN]}")),
    "lists and a NaN": lambda: gzip.compress(_of(b'{"batch":[', b"[],", b"NaN]}")),
    "endless nesting": lambda: gzip.compress(_of(b'{"batch":', b"[", b"")),
    "nesting that ends": lambda: gzip.compress(_of(b'{"batch":[' + b"[" * 2_000_000, b"]", b"}")),
    "brackets in one event and a NaN": lambda: gzip.compress(_of(b'{"batch":[NaN,[', b"[],", b"0]]}")),
    "texts in one event and a NaN": lambda: gzip.compress(_of(b'{"batch":[NaN,[', b'"",', b"0]]}")),
    "one text": lambda: gzip.compress(_of(b'{"batch":["', b"a", b'",NaN]}')),
    "one text of escapes": lambda: gzip.compress(_of(b'{"batch":["', b'\\"', b'",NaN]}')),
    "a text that does not end": lambda: gzip.compress(_of(b'{"batch":["', b"\\\\", b"")),
    "members without end": lambda: gzip.compress(_of(b"{", b'"a":1,', b'"batch":[NaN]}')),
    "a key that is a tree": lambda: gzip.compress(_of(b'{"writeKey":[', b"[],", b'1],"batch":[]}')),
    "numbers that parse slowly": lambda: gzip.compress(_events(b"1e300")),
    "brackets that are counted": lambda: gzip.compress(_events(b"{}")),
    "events that need a diagnosis": lambda: gzip.compress(_events(b"[]").replace(b"[]]", b"NaN]")),
    "2,500 copies of a context": lambda: gzip.compress(
        b'{"context":{"a":['
        + b'{},{},1.5,"x",' * 500
        + b'1]},"batch":['
        + b",".join([json.dumps(_GOOD).encode()] * 2_500)
        + b"]}"
    ),
    "4 MB of real events": lambda: json.dumps(
        {"batch": [{**_GOOD, "messageId": str(n), "properties": {f"p{k}": "v" * 30 for k in range(38)}} for n in range(2_300)]}
    ).encode(),
}  # fmt: skip
"""Made where they are sent: all of them take half a second, and every process of a test run would make them."""
