"""
Dated facts: what a company says of an account in group traits, and from when.

Each fact keeps the time of the event that set it, so a late event never overwrites a newer one, and its last few former
values with the times from which they held. A trait of the wrong type costs that fact alone; it is reported with its name
and the others are kept. A null trait removes the fact.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from services.shared.calendars import public_holidays
from services.shared.tracking_plan.dates import read_day
from services.shared.tracking_plan.state_names import FactType
from services.shared.tracking_plan.values import MAX_FACT_TEXT, MAX_NUMBER, MAX_WHOLE_NUMBER

Value = str | float | int | None
Since = tuple[int, Value]
"""A value and the time from which it held, milliseconds since 1970 UTC; None: it was removed then."""

FORMER = 8
"""Former values that each fact keeps; beyond that the oldest is forgotten."""
UNSAID = -1
"""The time of a fact that nobody has said."""
_MAX_CODE = 10


class WrongTrait(NamedTuple):
    """A trait that was left out."""

    trait: str
    detail: str


class Facts:
    """The facts of one account by place, and when each was said, milliseconds since 1970 UTC."""

    __slots__ = ("former", "times", "values")

    def __init__(self, names: int) -> None:
        """Start with nothing known of so many facts."""
        self.values: list[Value] = [None] * names
        self.times: array[int] = array("q", [UNSAID] * (2 * names))
        """First when each was said last, then, from place `names` on, since when it holds."""
        self.former: dict[int, list[Since]] | None = None

    def set(self, place: int, value: Value, at: int) -> bool:
        """
        Take in one statement; return whether the fact has another value now.

        The newest statement wins; of two at one time the greater text. An older one that says something else takes its
        place among the former values. How often a former value was repeated is not kept: what a late event puts between
        two equal statements is taken to have held until the later one.
        """
        known, before = self.times[place], self.values[place]
        if at >= known and value == before and known != UNSAID:
            self.times[place] = at
            return False
        self._keep(place, max(at, known), _with(self.history(place), known, (at, value)))
        return self.values[place] != before

    def history(self, place: int) -> list[Since]:
        """Return what a fact was, up to eight former values, and what it is: each since when, oldest first."""
        if self.times[place] == UNSAID:
            return []
        former = self.former.get(place, []) if self.former else []
        return [*former, (self.times[len(self.values) + place], self.values[place])]

    def _keep(self, place: int, said: int, history: list[Since]) -> None:
        self.times[place] = said
        self.times[len(self.values) + place], self.values[place] = history[-1]
        former = history[-1 - FORMER : -1]
        if former:
            if self.former is None:
                self.former = {}
            self.former[place] = former
        elif self.former:
            self.former.pop(place, None)


def _with(history: list[Since], said: int, new: Since) -> list[Since]:
    """Put a statement among those before and after it, if there are any; the last of them was repeated at `said`."""
    at, value = new
    index = bisect_right([since for since, _ in history], at)
    before, after = history[:index], history[index:]
    if not after and at < said:
        after = [(said, history[-1][1])]
    elif at == said and repr(value) <= repr(history[-1][1]):
        return history
    if before and before[-1][0] == at:
        if repr(value) <= repr(before[-1][1]):
            return history
        before = before[:-1]
    merged = [*before, new, *after]
    return [merged[0], *(later for earlier, later in pairwise(merged) if later[1] != earlier[1])]


def read_traits(
    traits: Mapping[str, Any], places: Mapping[str, tuple[int, FactType]]
) -> tuple[list[tuple[int, Value]], list[WrongTrait]]:
    """
    Turn group traits into facts.

    Args:
        traits: As sent.
        places: Trait name, in lower case, to the place and the type of its fact.

    Returns:
        Places with values, and what was left out and why.
    """
    found: list[tuple[int, Value]] = []
    wrong: list[WrongTrait] = []
    for trait in sorted(traits):
        fact = places.get(trait.lower())
        if fact is None:
            continue
        place, type_ = fact
        value = traits[trait]
        try:
            found.append((place, None if value is None else _PARSERS[type_](value)))
        except (ValueError, TypeError, OverflowError) as error:
            wrong.append(WrongTrait(trait, str(error)))
    return found, wrong


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(f"send text, not {_kind(value)}")
    text = str(value).strip()
    if not text or len(text) > MAX_FACT_TEXT:
        raise ValueError(f"send text of 1 to {MAX_FACT_TEXT} characters, not {len(text)}")
    return text


def _number(value: Any) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ValueError("send a number; this text is not one") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"send a number, not {_kind(value)}")
    if not math.isfinite(value) or not 0 <= value <= MAX_NUMBER:
        raise ValueError("send a number from 0 to 1e15")
    return float(value)


def _whole_number(value: Any) -> int:
    number = _number(value)
    if number != int(number) or number > MAX_WHOLE_NUMBER:
        raise ValueError(f"send a whole number from 0 to {MAX_WHOLE_NUMBER}")
    return int(number)


def _country(value: Any) -> str:
    code = public_holidays.normal(value) if isinstance(value, str) and len(value) <= _MAX_CODE else None
    if code is None:
        raise ValueError("send an ISO 3166 code of a country such as DE, or of a part of one such as DE-BY")
    return code


def _kind(value: Any) -> str:
    return {bool: "true or false", list: "a list", dict: "an object", str: "text"}.get(type(value), "a number")


_PARSERS: dict[FactType, Callable[[Any], Value]] = {
    "text": _text,
    "number": _number,
    "whole_number": _whole_number,
    "date": read_day,
    "country": _country,
}
