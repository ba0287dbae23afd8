"""
Flat records read by column: thousands of values in the few steps that numpy takes for each field of their schema.

`flat.py` reads a value in some 14 microseconds of Python; this takes one or two. It gives where strings are instead of the
strings, so that who stores values copies their bytes and makes no object of them. What it reads, `flat.py` reads as the same
value (held by a property test). What it does not read may still be a value: an integer or a length in a longer form than
it needs to be, for example. Each value ends where it ends, whatever its bytes say, so none can change what is read of
another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Flags: TypeAlias = npt.NDArray[np.bool_]

HEADER_BYTES = 5
PADDING = bytes(16)
"""What must follow the last value: as much as an integer may take."""

_SIX = np.uint64(0x8080_8080_8080)
_SIX_BYTES = np.uint64(0x0080_8080_8080)
_SEVENS = [(np.uint64(n), np.uint64(0x7F << (7 * n))) for n in range(6)]


class Texts(NamedTuple):
    """Strings: where each begins in the data, and its length in bytes."""

    starts: Integers
    lengths: Integers


class Symbols(NamedTuple):
    """Values of an enum, as numbers of its symbols."""

    symbols: tuple[str, ...]
    numbers: Bytes


Field: TypeAlias = Texts | Symbols | Integers | Flags


def read(schema: Mapping[str, Any], data: Bytes, starts: Integers, ends: Integers) -> tuple[dict[str, Field], Flags]:
    """
    Read values of one schema that `flat.reader` takes. They lie in `data`, each from its header on, with PADDING after the last.

    Returns:
        The fields by name, and which values were read: what the fields have of others means nothing.
    """
    lanes = _Lanes(data, starts + HEADER_BYTES, ends)
    fields: dict[str, Field] = {}
    for field in schema["fields"]:
        kind = field["type"]
        if isinstance(kind, dict) and kind["type"] == "enum":
            symbols = tuple(kind["symbols"])
            fields[field["name"]] = Symbols(symbols, lanes.enum(len(symbols)))
        else:
            fields[field["name"]] = _READ[kind](lanes)
        lanes.stay_within()
    lanes.good &= lanes.at == ends
    lanes.refuse_malformed_text([field for field in fields.values() if isinstance(field, Texts)], starts)
    return fields, lanes.good


class _Lanes:
    """Where each of the values is being read."""

    def __init__(self, data: Bytes, at: Integers, ends: Integers) -> None:
        self.data = data
        self.words = np.ndarray((len(data) - 7,), np.dtype("<u8"), data, strides=(1,))
        """Eight bytes from each place on."""
        self.at = at
        self.ends = ends
        self.good: Flags = at <= ends
        self.continued: Integers = np.zeros(len(at), np.int64)
        """How many bytes above 127 the integers of each value have."""
        self.stay_within()

    def stay_within(self) -> None:
        """Give up the values that were read past their ends."""
        over = self.at > self.ends
        if over.any():
            self.good &= ~over
            np.minimum(self.at, self.ends, out=self.at)

    def number(self) -> npt.NDArray[np.uint64]:
        """Read an integer as it is written: seven bits a byte, the lowest first."""
        at = self.at
        value = self.data[at].astype(np.uint64)
        more = np.flatnonzero(value > 127)
        if len(more) == len(at) and len(at):
            words = self.words[at]
            if ((words & _SIX) == _SIX_BYTES).all():  # all have six bytes, as times have
                self.at = at + 6
                self.continued += 5
                six = np.zeros_like(words)
                for down, mask in _SEVENS:
                    six |= words >> down & mask
                return six
        self.at = at + 1
        for shift in range(7, 64, 7):
            if not len(more):
                return value
            byte = self.data[self.at[more]]
            self.at[more] += 1
            self.continued[more] += 1
            value[more] += (byte.astype(np.uint64) << np.uint64(shift)) - np.uint64(128 << (shift - 7))
            if shift == 63:
                self.good[more[byte > 1]] = False  # more than 64 bits
            more = more[byte > 127]
        return value

    def long(self) -> Integers:
        """Read a long."""
        number = self.number()
        one = np.uint64(1)
        return (number >> one).view(np.int64) ^ -(number & one).view(np.int64)

    def text(self) -> Texts:
        """Read a string, which ends where its value ends at the latest."""
        number = self.number()
        one = np.uint64(1)
        lengths = (number >> one).view(np.int64)
        bad = ((number & one) != 0) | (lengths > self.ends - self.at)
        if bad.any():
            self.good &= ~bad
            lengths = np.where(bad, 0, lengths)
        starts = self.at
        self.at = starts + lengths
        return Texts(starts, lengths)

    def enum(self, symbols: int) -> Bytes:
        """Read a value of an enum with fewer than 64 symbols."""
        byte = self.data[self.at]
        self.at = self.at + 1
        numbers = byte >> np.uint8(1)
        bad = ((byte & 129) != 0) | (numbers >= symbols)
        if bad.any():
            self.good &= ~bad
            numbers[bad] = 0
        return numbers

    def boolean(self) -> Flags:
        """Read a boolean."""
        found: Flags = self.data[self.at] != 0
        self.at = self.at + 1
        return found

    def refuse_malformed_text(self, texts: list[Texts], starts: Integers) -> None:
        """Give up the values with a string that is not UTF-8."""
        # With no more high bytes than its header and its integers have, a value is ASCII.
        if not len(starts):
            return
        borders = np.column_stack((np.minimum(starts + HEADER_BYTES, self.ends), self.ends)).ravel()
        above_127 = np.add.reduceat(self.data >> 7, borders, dtype=np.int32)[::2]
        for lane in np.flatnonzero(self.good & (above_127 > self.continued)):
            try:
                for start, length in ((int(text.starts[lane]), int(text.lengths[lane])) for text in texts):
                    self.data[start : start + length].tobytes().decode()
            except UnicodeDecodeError:
                self.good[lane] = False


_READ: dict[str, Callable[[_Lanes], Field]] = {"string": _Lanes.text, "long": _Lanes.long, "boolean": _Lanes.boolean}
