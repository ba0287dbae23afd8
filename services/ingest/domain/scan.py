"""
Find where values start and end in JSON that a parser refuses, by its quotes, brackets and commas alone.

The cost is bounded whatever the text is: it is passed once, in C but for one step of Python at each bracket, the
number of brackets has a limit, and a slice of it takes a millisecond or two.
"""

from __future__ import annotations

import re
from collections.abc import Generator

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_INSIDE = re.compile(rb'(?:[^][{}"]++|' + _STRING + rb"){0,4096}+([][{}]?)", re.DOTALL)
"""Runs of what is no bracket, then a bracket if there is one."""
_OUTSIDE = re.compile(rb"[^][{}\",]*+(?:" + _STRING + rb"[^][{}\",]*+){0,4096}+", re.DOTALL)
_BRACKET = re.compile(rb"\s*+\[")
_NAME = re.compile(rb"\s*+(" + _STRING + rb")\s*+:", re.DOTALL)
_SLICE = 4_000
_BYTES_A_STEP = 16
"""Bytes that are passed in C in about the time of a step."""
_STEPS = 400_000
"""Brackets in all: one for every ten bytes of a body of 4 MB."""

Found = dict[bytes, "bytes | list[bytes]"]


class TooMuch(Exception):
    """The text has more structure than anybody would send; nothing is known about the rest of it."""


class Scan:
    """One scan of one text."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._left = _STEPS
        self._since = 0

    def members(self, most: int, elements: dict[bytes, int]) -> Generator[int | None, None, Found | None]:
        """
        Return the members of the object that the text is, by their names with the quotes; None where it is none.

        Args:
            most: Members that are looked at.
            elements: Names of the lists that are taken apart, with how many elements are looked for; a list that has
                more gives one more, and is the last member that is returned.

        Raises:
            TooMuch: it has more members, or brackets, than will be looked at.
        """
        text, at = self._text, 1
        if not text.startswith(b"{"):
            return None
        found: Found = {}
        if text[1:].strip() == b"}":
            return found
        for _ in range(most):
            name = _NAME.match(text, at)
            if name is None:
                return None
            at = name.end()
            limit = elements.get(name.group(1))
            if limit is not None and (start := _BRACKET.match(text, at)):
                taken, at = yield from self._elements(start.end(), limit)
                if taken is None:
                    return None
                found[name.group(1)] = taken
                if len(taken) > limit:
                    return found
                if text[at : (at := (yield from self._end_of_value(at)))].strip():
                    return None
            else:
                start_at = at
                at = yield from self._end_of_value(at)
                found[name.group(1)] = text[start_at:at].strip()
            if text[at : at + 1] == b"}":
                return found if at == len(text) - 1 else None
            if text[at : at + 1] != b",":
                return None
            at += 1
        raise TooMuch

    def _elements(self, at: int, most: int) -> Generator[int | None, None, tuple[list[bytes] | None, int]]:
        text = self._text
        found: list[bytes] = []
        while len(found) <= most:
            stop = yield from self._end_of_value(at)
            found.append(text[at:stop].strip())
            if text[stop : stop + 1] == b"]":
                return [] if found == [b""] else found, stop + 1
            if text[stop : stop + 1] != b",":
                return None, stop
            at = stop + 1
        return found, at

    def _end_of_value(self, at: int) -> Generator[int | None, None, int]:
        """Return where the comma or closing bracket after a value is; the text's length where there is none."""
        text, depth = self._text, 0
        while True:
            if self._since > _SLICE:
                self._since = 0
                yield None
            pattern = _INSIDE if depth else _OUTSIDE
            found = pattern.match(text, at)
            stop = found.end() if found else at
            self._since += 1 + (stop - at) // _BYTES_A_STEP
            if depth:
                bracket = found.group(1) if found else b""
                if bracket:
                    self._left -= 1
                    if self._left < 0:
                        raise TooMuch
                    depth += 1 if bracket in b"{[" else -1
                elif stop == at:
                    return len(text)  # a text that does not end
            else:
                here = text[stop : stop + 1]
                if here in (b",", b"]", b"}"):
                    return stop
                if here in (b"{", b"["):
                    depth, stop = 1, stop + 1
                elif stop == at:
                    return len(text)
            at = stop
