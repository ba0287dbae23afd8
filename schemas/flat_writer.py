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

_ONE = [bytes((n,)) for n in range(128)]
_LOW = [bytes((n & 127 | 128, n >> 7 | 128)) for n in range(16_384)]
"""The lower two bytes of integers with more."""
_HIGH: dict[int, bytes] = {}
"""The upper parts of integers that were written lately: those of times are the same for seconds."""
_REMEMBERED = 256


def _rest(z: int) -> bytes:
    out = bytearray()
    high = z
    while z > 127:
        out.append(z & 127 | 128)
        z >>= 7
    out.append(z)
    if len(_HIGH) >= _REMEMBERED:
        _HIGH.clear()
    _HIGH[high] = found = bytes(out)
    return found


def long(n: int) -> bytes:
    """
    Return an integer of 64 bits as Avro has it.

    Raises:
        TypeError: it is no integer; `True` is none either.
        OverflowError: it has more bits.
    """
    if type(n) is not int:
        raise TypeError("an integer is needed")
    z = n << 1 if n >= 0 else ~n << 1 | 1
    if z < 128:
        return _ONE[z]
    if z < 16384:
        return bytes((z & 127 | 128, z >> 7))
    high = z >> 14
    if high >> 50:
        raise OverflowError("the integer has more than 64 bits")
    return _LOW[z & 16_383] + (_HIGH.get(high) or _rest(high))


def size_of(data: bytes) -> bytes:
    """Return what a string or bytes begin with."""
    z = len(data) << 1
    if z < 128:
        return _ONE[z]
    return bytes((z & 127 | 128, z >> 7)) if z < 16384 else long(z >> 1)


def text(value: str) -> bytes:
    """
    Return a string as Avro has it.

    Raises:
        TypeError: it is no string.
        UnicodeEncodeError: it has half of a surrogate pair.
    """
    data = str.encode(value)
    return size_of(data) + data


def writer(schema: Mapping[str, Any], only: Sequence[str] | None = None) -> Write | None:
    """Return the writer of a record, or of some of its fields, in the order of the schema; None where it is not flat."""
    lines, parts = ["def write(value):"], []
    names: dict[str, Any] = {"long": long, "size_of": size_of, "encode": str.encode, "true": _true}
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
