"""Whether a value is of the type that the plan gives it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.shared.tracking_plan.plan import PropertyPlan, PropertyType

MAX_ID = 128
"""Characters of an id."""
_MAX_DATE = 40
"""Characters of a date; with time, fraction of a second and offset it has 35 at most."""
_SHOWN = 60

QUICK: dict[PropertyType | None, frozenset[type]] = {
    None: frozenset({str, int, float, bool, list, dict}),
    "text": frozenset({str}),
    "id": frozenset({int}),
    "number": frozenset({int, float}),
    "whole_number": frozenset({int}),
    "boolean": frozenset({bool}),
    "date": frozenset(),
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
    "list": "a list",
    "object": "an object",
}
_KINDS = {bool: "true or false", list: "a list", dict: "an object", str: "text", int: "a number", float: "a number"}


def _whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value) and value == int(value))


def _date(value: Any) -> bool:
    if type(value) in (int, float):
        return bool(math.isfinite(value) and value >= 0)
    if type(value) is not str or len(value) > _MAX_DATE:
        return False
    try:
        datetime.fromisoformat(value.strip())
    except ValueError:
        return False
    return True


def _id(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= MAX_ID


_LOOKED_AT: dict[PropertyType, Callable[[Any], bool]] = {"whole_number": _whole, "date": _date, "id": _id}


def wrong(value: Any, plan: PropertyPlan) -> tuple[str, str] | None:
    """Return why a value, not null, is not what the plan says: a code and a sentence; None if it is."""
    if plan.one_of is not None:
        if type(value) in (str, int, float, bool) and any(
            value == each and (type(value) is bool) == (type(each) is bool) for each in plan.one_of
        ):
            return None
        given = _KINDS.get(type(value), "")
        shown = ", ".join(map(str, plan.one_of))
        detail = f"send one of {shown[:_SHOWN]}{'...' if len(shown) > _SHOWN else ''}"
        return "plan_wrong_value", f"{detail}, not {value[:_SHOWN]!r}" if isinstance(
            value, str
        ) else f"{detail}, not {given}"
    type_ = plan.type
    if type_ is None or type(value) in QUICK[type_]:
        return None
    look = _LOOKED_AT.get(type_)
    if look is not None and look(value):
        return None
    given = "this text" if type(value) is str and type_ == "date" else _KINDS.get(type(value), "this")
    return "plan_wrong_type", f"send {_WORDS[type_]}, not {given}"
