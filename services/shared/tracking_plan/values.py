"""Whether a value is of the type that the plan gives it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.shared.calendars import public_holidays
from services.shared.tracking_plan.plan import PropertyPlan, PropertyType

MAX_ID = 128
"""Characters of an id."""
MAX_FACT_TEXT = 500
"""Characters of a fact of an account that is text."""
MAX_RECORD_TEXT = 1_000
"""Characters of a text of a record that lists tell: they have up to ten thousand, and an event holds 32 KB."""
MAX_NUMBER = 10**15
MAX_WHOLE_NUMBER = 100_000_000
"""Of a number, and of facts; its opposite is the least. A double holds every whole number up to here."""
_MAX_DATE = 40
"""Characters of a date; with time, fraction of a second and offset it has 35 at most."""
_MAX_CODE = 10
_SHOWN = 60

_RIGHT: dict[PropertyType | None, frozenset[type]] = {
    None: frozenset({str, int, float, bool, list, dict}),
    "text": frozenset({str}),
    "id": frozenset({int}),
    "number": frozenset(),
    "whole_number": frozenset(),
    "boolean": frozenset({bool}),
    "date": frozenset(),
    "country": frozenset(),
    "list": frozenset({list}),
    "object": frozenset({dict}),
}
"""Types of decoded JSON that are right whatever the value is; all else is looked at."""

_WORDS: dict[PropertyType, str] = {
    "text": "text",
    "id": f"text of 1 to {MAX_ID} characters or a whole number",
    "number": "a number",
    "whole_number": "a whole number",
    "boolean": "true or false",
    "date": "a date such as 2027-03-31, with or without a time",
    "country": "an ISO 3166 code of a country such as DE, or of a part of one such as DE-BY",
    "list": "a list",
    "object": "an object",
}
_KINDS = {bool: "true or false", list: "a list", dict: "an object", str: "text", int: "a number", float: "a number"}


def _never(_value: Any) -> bool:
    return False


def _number(value: Any) -> bool:
    return type(value) in (int, float) and -MAX_NUMBER <= value <= MAX_NUMBER


def _whole(value: Any) -> bool:
    return _number(value) and value == int(value)


def _date(value: Any) -> bool:
    if type(value) is str:
        if len(value) > _MAX_DATE:
            return False
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
        return True
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def _country(value: Any) -> bool:
    return type(value) is str and len(value) <= _MAX_CODE and public_holidays.normal(value) is not None


def _id(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= MAX_ID


_LOOKED_AT: dict[PropertyType | None, Callable[[Any], bool]] = {
    "number": _number,
    "whole_number": _whole,
    "date": _date,
    "country": _country,
    "id": _id,
}


def check_of(plan: PropertyPlan) -> tuple[frozenset[type], Callable[[Any], bool]]:
    """Return which types are right whatever the value is, and what says whether a value of another type is right."""
    if plan.one_of is not None:
        return frozenset(), _among(plan.one_of)
    return _RIGHT[plan.type], _LOOKED_AT.get(plan.type, _never)


def _among(values: list[Any]) -> Callable[[Any], bool]:
    texts = frozenset(value for value in values if type(value) is str)
    numbers = frozenset(value for value in values if type(value) in (int, float))
    others = frozenset(value for value in values if type(value) is bool)

    def among(value: Any) -> bool:
        if type(value) is str:
            return value in texts
        return value in others if type(value) is bool else type(value) in (int, float) and value in numbers

    return among


def wrong(value: Any, plan: PropertyPlan) -> tuple[str, str]:
    """Return a code and a sentence for a value that is not what the plan says."""
    given = _KINDS.get(type(value), "this")
    if plan.one_of is not None:
        shown = ", ".join(map(str, plan.one_of))
        cut = f"{shown[:_SHOWN]}..." if len(shown) > _SHOWN else shown
        return "plan_wrong_value", f"send one of {cut}, not {f'{value[:_SHOWN]!r}' if type(value) is str else given}"
    if plan.type in ("number", "whole_number") and type(value) in (int, float):
        if not _number(value):
            return "plan_wrong_value", "send a number from -1e15 to 1e15; what is longer, such as an id, is text"
        given = "a fraction"
    if plan.type in ("date", "id", "country") and type(value) is str:
        given = "this text"
    return "plan_wrong_type", f"send {_WORDS[plan.type or 'text']}, not {given}"
