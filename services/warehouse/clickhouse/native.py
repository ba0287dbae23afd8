"""
A block of rows in ClickHouse's format Native, straight from the bytes of the records.

Strings are copied with the bytes before them, where their lengths stood in Avro; there is room for ClickHouse's lengths,
which never take more. Strings of columns that are LowCardinality are given as String: ClickHouse turns them faster than
Python would.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from schemas.flat_columns import Bytes, Field, Integers, Symbols, Texts
from services.warehouse.domain.blocks import Block

_TYPES = {
    "partition": ("UInt32", "<u4"),
    "offset": ("UInt64", "<u8"),
    "appended_at": ("DateTime64(3, 'UTC')", "<i8"),
    "occurred_at": ("DateTime64(3, 'UTC')", "<i8"),
    "received_at": ("DateTime64(3, 'UTC')", "<i8"),
}
_LONG = ("Int64", "<i8")

_AT_A_TIME = 128 * 1024
"""Bytes that are copied at once: each takes eight more for its place meanwhile."""


def native(block: Block) -> bytes:
    """Return a block as the body of an insert."""
    head = _number(len(block.columns)) + _number(len(block))
    return b"".join(
        [head, *(part for name, column in block.columns.items() for part in _column(name, column, block.data))]
    )


def _column(name: str, column: Field, data: Bytes) -> Iterator[bytes]:
    yield _text(name)
    if isinstance(column, Texts):
        yield _text("String")
        yield from _strings(data, column)
    elif isinstance(column, Symbols):
        yield _text("LowCardinality(String)")
        yield from _low_cardinality(column)
    elif column.dtype == np.bool_:
        yield _text("Bool")
        yield column.tobytes()
    else:
        kind, dtype = _TYPES.get(name, _LONG)
        yield _text(kind)
        yield column.astype(dtype, copy=False).tobytes()


def _low_cardinality(column: Symbols) -> Iterator[bytes]:
    one_dictionary, with_keys, of_bytes = 1, 0x600, 0  # as ClickHouse's SerializationLowCardinality has them
    head = (one_dictionary, with_keys | of_bytes, len(column.symbols))
    yield b"".join(each.to_bytes(8, "little") for each in head)
    yield b"".join(map(_text, column.symbols))
    yield len(column.numbers).to_bytes(8, "little")
    yield column.numbers.tobytes()


def _strings(data: Bytes, texts: Texts) -> Iterator[bytes]:
    sizes = np.ones(len(texts.lengths), np.int64)
    for bits in range(7, 35, 7):
        sizes += texts.lengths >= 1 << bits
    starts, lengths = texts.starts - sizes, texts.lengths + sizes
    ends = np.cumsum(lengths)
    first = 0
    while first < len(ends):
        done = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + _AT_A_TIME, "right")))
        part = slice(first, last)
        yield _copied(data, starts[part], lengths[part], ends[part] - done, sizes[part])
        first = last


def _copied(data: Bytes, starts: Integers, lengths: Integers, ends: Integers, sizes: Integers) -> bytes:
    """Copy strings with room for their lengths before them, and write the lengths."""
    begins = ends - lengths
    places = np.repeat(starts - begins, lengths)
    places += np.arange(len(places))
    copied = data[places]
    left, at = lengths - sizes, begins
    continued = sizes > 1
    copied[at] = np.where(continued, left & 127 | 128, left)
    while continued.any():
        left, at, sizes = left[continued] >> 7, at[continued] + 1, sizes[continued] - 1
        continued = sizes > 1
        copied[at] = np.where(continued, left & 127 | 128, left)
    return bytes(copied)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _number(len(encoded)) + encoded


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
