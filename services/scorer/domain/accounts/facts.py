"""
Dated facts: what a company says of an account in group traits, and from when.

Each field keeps the time of the event that set it, so a late event never overwrites a newer one. A trait of the
wrong type costs that field alone; it is reported with the field's name and the others are kept. A null trait
removes the fact.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

FIELDS = ("name", "owner", "revenue", "seats", "plan", "contract_start_day", "renewal_day", "parent")
"""In the order in which state keeps them: add at the end only."""
Value = str | float | int | None

MAX_TEXT = 500
_UNSET = -1
_EPOCH = date(1970, 1, 1)
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_LAST_SECOND = 230 * 365 * 86_400
_MILLISECONDS_FROM = 100_000_000_000  # as seconds that would be the year 5138


class WrongTrait(NamedTuple):
    """A trait that was left out."""

    trait: str
    detail: str


class Facts:
    """The facts of one account and when each was said, milliseconds since 1970 UTC."""

    __slots__ = ("times", "values")

    def __init__(self) -> None:
        """Start with nothing known."""
        self.values: list[Value] = [None] * len(FIELDS)
        self.times: array[int] = array("q", [_UNSET] * len(FIELDS))

    def set(self, field: int, value: Value, at: int) -> bool:
        """Take in one fact unless a newer one is known; return whether anything changed. Ties: the greater text wins."""
        known = self.times[field]
        if at < known or (at == known and repr(value) <= repr(self.values[field])):
            return False
        self.times[field] = at
        changed = self.values[field] != value
        self.values[field] = value
        return changed

    def get(self, name: str) -> Value:
        """Return one fact by its name, None if unknown."""
        return self.values[FIELDS.index(name)]


def read_traits(
    traits: Mapping[str, Any], names: Mapping[str, str]
) -> tuple[list[tuple[int, Value]], list[WrongTrait]]:
    """
    Turn group traits into facts.

    Args:
        traits: As sent.
        names: Trait name, in lower case, to one of `FIELDS`.

    Returns:
        Field numbers with values, and what was left out and why.
    """
    found: list[tuple[int, Value]] = []
    wrong: list[WrongTrait] = []
    for trait in sorted(traits):
        field = names.get(trait.lower())
        if field is None:
            continue
        value = traits[trait]
        try:
            found.append((FIELDS.index(field), None if value is None else _PARSERS[field](value)))
        except (ValueError, TypeError, OverflowError) as error:
            wrong.append(WrongTrait(trait, str(error)))
    return found, wrong


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(f"send text, not {_kind(value)}")
    text = str(value).strip()
    if not text or len(text) > MAX_TEXT:
        raise ValueError(f"send text of 1 to {MAX_TEXT} characters, not {len(text)}")
    return text


def _number(value: Any) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ValueError("send a number, not text that is none") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"send a number, not {_kind(value)}")
    if not math.isfinite(value) or not 0 <= value <= 1e15:
        raise ValueError("send a number from 0 to 1e15")
    return float(value)


def _seats(value: Any) -> int:
    number = _number(value)
    if number != int(number) or number > 100_000_000:
        raise ValueError("send a whole number from 0 to 100000000")
    return int(number)


def _day(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(f"send a date such as 2027-03-31, not {_kind(value)}")
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("send a date such as 2027-03-31") from None
        when = (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    else:
        if not math.isfinite(value):
            raise ValueError("send a date such as 2027-03-31")
        seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
        if not 0 <= seconds < _LAST_SECOND:
            raise ValueError(f"send a date from {_FIRST_YEAR} to {_LAST_YEAR}")
        when = datetime.fromtimestamp(seconds, UTC).date()
    if not _FIRST_YEAR <= when.year <= _LAST_YEAR:
        raise ValueError(f"send a date from {_FIRST_YEAR} to {_LAST_YEAR}")
    return (when - _EPOCH).days


def _kind(value: Any) -> str:
    return {bool: "true or false", list: "a list", dict: "an object", str: "text"}.get(type(value), "a number")


_PARSERS: dict[str, Callable[[Any], Value]] = {
    "name": _text,
    "owner": _text,
    "plan": _text,
    "parent": _text,
    "revenue": _number,
    "seats": _seats,
    "contract_start_day": _day,
    "renewal_day": _day,
}
