"""Reading a tracking plan: checked as a whole, each problem with the path of its field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from services.shared.files.entry_fields import read_fields, read_value
from services.shared.tracking_plan.checks import problems_of
from services.shared.tracking_plan.plan import (
    AnswerPlan,
    CasePlan,
    EventPlan,
    PagePlan,
    PropertyPlan,
    TrackingPlan,
    TraitPlan,
)

T = TypeVar("T")

_EVENTS: dict[str, type[EventPlan]] = {"events": EventPlan, "pages": PagePlan}
_ENTRIES: dict[str, Any] = {
    "group_traits": TraitPlan,
    "identify_traits": TraitPlan,
    "cases": CasePlan,
    "answers": AnswerPlan,
}
_FIELDS = {field.name: field.type for field in msgspec.structs.fields(TrackingPlan)}


def read_plan(config: Any) -> TrackingPlan:
    """
    Check a tracking plan and return it.

    Args:
        config: As read from YAML. What it leaves out is not declared.

    Raises:
        ValueError: what is wrong, all of it, one line each.
    """
    problems: list[str] = []
    plan = _convert(config, problems)
    problems += problems_of(plan, whole=not problems)
    if problems:
        raise ValueError("\n".join(problems))
    return plan


def _convert(config: Any, problems: list[str]) -> TrackingPlan:
    """Return a plan of all that has the right shape, and add what has not to the problems."""
    found: dict[str, Any] = {}
    for part, given in _mapping(config, "the plan", problems).items():
        if part in _EVENTS:
            named = _mapping(given, part, problems)
            read = {name: _event(each, f"{part}.{name}", _EVENTS[part], problems) for name, each in named.items()}
            found[part] = {name: event for name, event in read.items() if event is not None}
        elif part in _ENTRIES:
            found[part] = _entries(given, part, _ENTRIES[part], problems)
        elif part == "features":
            found[part] = _entries(given, part, _FIELDS[part].__args__[1], problems)
        elif part in _FIELDS:
            value = _one(given, part, _FIELDS[part], problems)
            if value is not None:
                found[part] = value
        else:
            problems.append(f"{part}: there is no such part; there are {', '.join(_FIELDS)}")
    return TrackingPlan(**found)


def _event(given: Any, path: str, type_: type[EventPlan], problems: list[str]) -> EventPlan | None:
    fields = dict(_mapping({} if given is None else given, path, problems))
    properties = _entries(fields.pop("properties", {}), f"{path}.properties", PropertyPlan, problems)
    event = _one(fields, path, type_, problems)
    return None if event is None else msgspec.structs.replace(event, properties=properties)


def _mapping(given: Any, path: str, problems: list[str]) -> Mapping[str, Any]:
    if isinstance(given, Mapping) and all(isinstance(name, str) for name in given):
        return given
    problems.append(f"{path}: give names, each with what it stands for")
    return {}


def _entries(given: Any, path: str, type_: type[T], problems: list[str]) -> dict[str, T]:
    """Read each entry by itself, so that one that is wrong hides no other; nothing at all stands for the defaults."""
    found: dict[str, T] = {}
    for name, value in _mapping(given, path, problems).items():
        entry = _one({} if value is None else value, f"{path}.{name}", type_, problems)
        if entry is not None:
            found[name] = entry
    return found


def _one(given: Any, path: str, type_: type[T], problems: list[str]) -> T | None:
    """Read one value; of an entry all that is right, so that one look shows also what is wrong with the rest of it."""
    entry: Any = type_
    if not (isinstance(given, Mapping) and isinstance(entry, type) and issubclass(entry, msgspec.Struct)):
        value, wrong = read_value(given, type_)
        problems += [each.at(path) for each in wrong]
        return value  # type: ignore[no-any-return]
    found, wrong = read_fields(given, entry)
    problems += [each.at(path) for each in wrong]
    whole = all(field.name in found for field in msgspec.structs.fields(entry) if field.required)
    return type_(**found) if whole else None
