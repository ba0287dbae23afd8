"""
Writers for flat records, written out from their schema once, as flat.py does it for reading.

They give the bytes that fastavro gives, for values of exactly the types that the schema names. Whatever else they are
given they raise for, and fastavro decides: so what is refused, and with which words, is the same (held by a property
test). A record can also be written in parts, groups of neighbouring fields: what many records have in common is then
encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Write = Callable[[Mapping[str, Any]], bytes]
"""Turn a value into its bytes, without a header. Raises one of `UNUSUAL` for what is not of the schema's own types."""

UNUSUAL = (KeyError, TypeError, ValueError, AttributeError, OverflowError)

_LOW = [bytes((n & 127 | 128, n >> 7 | 128)) for n in range(1 << 14)]
"""Fourteen bits of an integer that has more."""
_LONGEST = 63


def _last(n: int) -> bytes:
    return bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7))


_LAST = [_last(n) for n in range(1 << 14)]
"""The last fourteen bits of an integer."""


def long(n: int) -> bytes:
    """
    Return an integer of 64 bits as Avro has it.

    Raises:
        TypeError: it is no integer; `True` is none either.
        OverflowError: it has more bits.
    """
    if type(n) is not int:
        raise TypeError("an integer is needed")
    if n >> _LONGEST not in (0, -1):
        raise OverflowError("the integer has more than 64 bits")
    z = n << 1 if n >= 0 else (~n << 1) | 1
    if z < 16384:
        return _LAST[z]
    out = b""
    while z >= 16384:
        out += _LOW[z & 16383]
        z >>= 14
    return out + _LAST[z]


def text(value: str) -> bytes:
    """
    Return a string as Avro has it.

    Raises:
        TypeError: it is no string.
        UnicodeEncodeError: it has half of a surrogate pair.
    """
    data = str.encode(value)
    size = len(data)
    return (_LAST[size << 1] if size < 8192 else long(size)) + data


def json_text(data: bytes) -> bytes:
    """Return text, given as UTF-8 and not looked at again, as a string."""
    size = len(data)
    return (_LAST[size << 1] if size < 8192 else long(size)) + data


def writer(schema: Mapping[str, Any], only: Sequence[str] | None = None) -> Write | None:
    """Return the writer of a record, or of some of its fields, in the order of the schema; None where it is not flat."""
    lines, parts = ["def write(value):"], []
    names: dict[str, Any] = {"long": long, "size_of": _size, "encode": str.encode, "true": _true}
    for number, field in enumerate(schema["fields"]):
        if only is not None and field["name"] not in only:
            continue
        kind = field["type"]
        if isinstance(kind, dict) and kind["type"] == "enum":
            names[f"symbols{number}"] = {symbol: long(index) for index, symbol in enumerate(kind["symbols"])}
            kind = "enum"
        if not isinstance(kind, str) or kind not in _FIELDS:
            return None
        prepared, used = _FIELDS[kind]
        given = f"value[{field['name']!r}]"
        lines += [f"    {line}" for line in prepared.format(n=number, given=given).splitlines()]
        parts.append(used.format(n=number, given=given))
    lines.append(f"    return b''.join(({', '.join(parts)},))" if parts else "    return b''")
    exec("\n".join(lines), names)  # noqa: S102 - written above, of our own schemas
    write: Write = names["write"]
    return write


def _size(data: bytes) -> bytes:
    size = len(data)
    return _LAST[size << 1] if size < 8192 else long(size)


def _true(value: Any) -> bytes:
    if value is True:
        return b"\x01"
    if value is False:
        return b"\x00"
    raise TypeError("true or false is needed")


_BYTES = "if type(v{n}) is not bytes:\n    raise TypeError('bytes are needed')"
_FIELDS = {
    "string": ("v{n} = encode({given})", "size_of(v{n}), v{n}"),
    "bytes": ("v{n} = {given}\n" + _BYTES, "size_of(v{n}), v{n}"),
    "long": ("", "long({given})"),
    "boolean": ("", "true({given})"),
    "enum": ("", "symbols{n}[{given}]"),
}
"""For each type what prepares a value, and what it is written as."""
