"""What msgspec says of a value of a wrong type, in the words of somebody who writes YAML or JSON. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

_AT = " - at `$"
_TYPES = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`")
_WORDS = {
    "array": "a list",
    "object": "an object",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "int | float": "a number",
    "bool": "true or false",
    "date": "a day",
    "datetime": "a time",
    "null": "nothing",
}


class TypeProblem(NamedTuple):
    """A value that is of no type that it may have."""

    path: str
    """Where, below what was read: `.stages.live` or `[0]`; empty: the whole."""
    detail: str


def type_problem_of(error: msgspec.ValidationError) -> TypeProblem:
    """Say where a value is wrong, what is expected there, and what stands there."""
    what, _, where = str(error).partition(_AT)
    return TypeProblem(where.rstrip("`"), _TYPES.sub(_said, what))


def _said(found: re.Match[str]) -> str:
    named = [name for name in found["expected"].split(" | ") if name != "null"] or ["null"]
    words = list(dict.fromkeys(_WORDS.get(name, name) for name in named))
    if "a number" in words and "a whole number" in words:
        words.remove("a whole number")
    listed = " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    return f"expected {listed}, not {_WORDS.get(found['got'], found['got'])}"
