"""
Readers for flat records, written out from their schema once: strings, enums, longs and booleans, one after the other.

fastavro reads any schema, byte by byte through a file; for the record that a scorer reads for every event this takes a
quarter less. What such a reader accepts fastavro reads as the same value (held by a property test); it refuses more:
a string that ends before its length, or an integer longer than 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Read = Callable[[bytes], dict[str, Any]]
"""Turn a value that begins with five bytes of header into the record. Raises ValueError or IndexError."""

_HEADER_BYTES = 5
_CONTINUED = sum(0x80 << shift for shift in (7, 14, 21, 28))
"""The continuation bits of the second to the fifth byte of an integer of six, which most times are."""
_LONGEST = 64


def reader(schema: Mapping[str, Any], missing: Mapping[str, str | int | bool] | None = None) -> Read | None:
    """Return the reader of a record, None where it is not flat; what a later version has at its end comes from `missing`."""
    lines, values = ["def read(data):", f"    at = {_HEADER_BYTES}"], []
    names: dict[str, Any] = {"longer": _longer}
    for number, field in enumerate(schema["fields"]):
        kind = field["type"]
        if isinstance(kind, dict) and kind["type"] == "enum":
            names[f"symbols{number}"] = tuple(kind["symbols"])
            kind = "enum"
        if not isinstance(kind, str) or kind not in _FIELDS:
            return None
        lines += [f"    {line}" for line in _FIELDS[kind].format(n=number).splitlines()]
        values.append(f"{field['name']!r}: v{number}")
    values += [f"{name!r}: {value!r}" for name, value in (missing or {}).items()]
    lines += [
        "    if at != len(data):",
        "        raise ValueError(f'{len(data) - at} bytes left over after the value')",
    ]
    lines.append(f"    return {{{', '.join(values)}}}")
    exec("\n".join(lines), names)  # noqa: S102 - written above, of our own schemas
    read: Read = names["read"]
    return read


_LENGTH = """\
size = data[at]
at += 1
if size > 127:
    more = data[at]
    at += 1
    size += (more << 7) - 128
    if more > 127:
        size, at = longer(data, size - 16384, at, 14)
"""
_FIELDS = {
    "string": _LENGTH
    + """\
end = at + (size >> 1)
if size & 1 or end > len(data):
    raise ValueError('a string ends before its length')
v{n} = str(data[at:end], 'utf-8')
at = end""",
    "enum": """\
size = data[at]
at += 1
if size & 129:
    raise ValueError('no such symbol')
v{n} = symbols{n}[size >> 1]""",
    "long": """\
size = data[at]
at += 1
if size > 127:
    size, at = longer(data, size - 128, at, 7)
v{n} = size >> 1 ^ -(size & 1)""",
    "boolean": """\
v{n} = data[at] != 0
at += 1""",
}
"""What reads a field of each type into its variable; `at` is where in the data."""


def _longer(data: bytes, value: int, at: int, shift: int) -> tuple[int, int]:
    """Go on with an integer that has more bytes; return it, and where it ends."""
    if shift == 7 and at + 5 <= len(data):
        a, b, c, d, e = data[at : at + 5]
        if a > 127 and b > 127 and c > 127 and d > 127 and e < 128:
            return value + (a << 7) + (b << 14) + (c << 21) + (d << 28) + (e << 35) - _CONTINUED, at + 5
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
