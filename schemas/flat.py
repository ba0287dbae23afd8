"""
Readers for flat records, written out from their schema once: strings, enums, longs and booleans, one after the other.

fastavro reads any schema, byte by byte through a file; for the record that a scorer reads for every event this takes half
as long. What such a reader accepts fastavro reads as the same value (held by a property test); it refuses more: a string
that ends before its length, or an integer longer than 64 bits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

Read = Callable[[bytes], dict[str, Any]]
"""Turn a value that begins with five bytes of header into the record. Raises ValueError or IndexError."""

_HEADER_BYTES = 5
_HIGH: dict[bytes, int] = {}
"""The last four bytes of integers of six that were read lately, and what they stand for: those of times are the same for seconds."""
_REMEMBERED = 256
_LONGEST = 64


def reader(schema: Mapping[str, Any], missing: Mapping[str, str | int | bool] | None = None) -> Read | None:
    """Return the reader of a record, None where it is not flat; what a later version has at its end comes from `missing`."""
    names: dict[str, Any] = {"longer": _longer, "other_end": _other_end}
    values: dict[str, Any] = {}
    lines = ["def read(data):", "    value = values.copy()", f"    at = {_HEADER_BYTES}", "    try:"]
    for number, field in enumerate(schema["fields"]):
        kind = field["type"]
        if isinstance(kind, dict) and kind["type"] == "enum":
            names[f"symbols{number}"] = {index << 1: symbol for index, symbol in enumerate(kind["symbols"][:64])}
            kind = "enum"
        if not isinstance(kind, str) or kind not in _FIELDS:
            return None
        values[sys.intern(field["name"])] = None  # found by identity then, as the names in code are
        place = f"value[{field['name']!r}]"
        lines += [f"        {line}" for line in _FIELDS[kind].format(n=number, place=place).splitlines()]
    lines += ["    except KeyError:", "        raise ValueError('no such symbol') from None"]
    lines += ["    if at != len(data):", "        raise other_end(data, at)", "    return value"]
    names["values"] = values | {sys.intern(name): value for name, value in (missing or {}).items()}
    exec("\n".join(lines), names)  # noqa: S102 - written above, of our own schemas
    read: Read = names["read"]
    return read


_FIELDS = {
    "string": """\
size = data[at]
at += 1
if size > 127:
    more = data[at]
    at += 1
    size += (more << 7) - 128
    if more > 127:
        size, at = longer(data, size - 16384, at, 14)
if size & 1:
    raise ValueError('a string of negative length')
end = at + (size >> 1)
{place} = data[at:end].decode()
at = end""",
    "enum": """\
{place} = symbols{n}[data[at]]
at += 1""",
    "long": """\
size = data[at]
at += 1
if size > 127:
    size, at = longer(data, size - 128, at, 7)
{place} = ~(size >> 1) if size & 1 else size >> 1""",
    "boolean": """\
{place} = data[at] != 0
at += 1""",
}
"""
What reads a field of each type into its place of the value; `at` is where in the data.

A string that would end behind the data moves `at` there, so the next field finds no byte, or the end is not that of the data.
"""


def _longer(data: bytes, value: int, at: int, shift: int) -> tuple[int, int]:
    """Go on with an integer that has more bytes; return it, and where it ends."""
    if shift == 7 and data[at] > 127:
        last_four = data[at + 1 : at + 5]
        high = _HIGH.get(last_four)
        if high is not None:
            return value + (data[at] - 128 << 7) + high, at + 5
        value, end = _longest(data, value, at, shift)
        if end == at + 5:
            if len(_HIGH) >= _REMEMBERED:
                _HIGH.clear()
            _HIGH[last_four] = value >> 14 << 14
        return value, end
    return _longest(data, value, at, shift)


def _longest(data: bytes, value: int, at: int, shift: int) -> tuple[int, int]:
    while True:
        more = data[at]
        at += 1
        value |= (more & 127) << shift
        if more < 128:
            if value >> _LONGEST:
                raise ValueError("an integer of more than 64 bits")
            return value, at
        shift += 7
        if shift >= _LONGEST:
            raise ValueError("an integer of more than 64 bits")


def _other_end(data: bytes, at: int) -> ValueError:
    """Return what is wrong with data where the last field does not end with it."""
    left = len(data) - at
    return ValueError(f"{left} bytes left over after the value" if left > 0 else "a string ends before its length")
