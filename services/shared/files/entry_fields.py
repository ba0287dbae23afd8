"""
An entry of a file that people write, read field by field: one look shows all that is wrong with it, and what there is to choose.

Pure. Values are shown only where the field has choices: others may be secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from services.shared.files.expected_types import type_problem_of

_SHOWN = 40

S = TypeVar("S", bound=msgspec.Struct)


class FieldProblem(NamedTuple):
    """What is wrong with a field of an entry."""

    field: str
    """Its path within the entry, such as `means[0]`; empty: the entry as a whole."""
    detail: str

    def at(self, entry: str, joint: str = ".") -> str:
        """Say it of an entry, whose path or place `joint` divides from the field."""
        if not self.field:
            return f"{entry}: {self.detail}"
        return f"{entry}{'' if self.field.startswith('[') else joint}{self.field}: {self.detail}"


def read_fields(given: Mapping[Any, Any], type_: type[msgspec.Struct]) -> tuple[dict[str, Any], list[FieldProblem]]:
    """Return the fields of an entry that are right, converted, and all that is wrong with the others."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    found: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    for name, value in given.items():
        field = fields.get(name)
        if field is None:
            problems.append(FieldProblem("", f"there is no field {name}; there are {', '.join(fields)}"))
            continue
        try:
            found[field.name] = msgspec.convert(value, field.type)
        except msgspec.ValidationError as error:
            problems += _told(name, value, field.type, error)
    problems += [
        FieldProblem(name, "is missing") for name, field in fields.items() if field.required and name not in given
    ]
    return found, problems


def read_entry(given: Any, blank: S, where: str, hint: str, problems: list[str]) -> tuple[S, frozenset[str]]:
    """
    Read one entry of a list, and add all that is wrong with it to the problems.

    Args:
        given: The entry as the file has it.
        blank: What stands for fields that are missing or wrong; of these there is no more to be told.
        where: The file and the place of the entry, for the problems.
        hint: What to write in place of something that is no entry at all.
        problems: Where they are added, one sentence each.

    Returns: the entry, and the names of the fields that are given and of the right type.
    """
    if not isinstance(given, dict):
        problems.append(f"{where}: {hint}")
        return blank, frozenset()
    found, wrong = read_fields(given, type(blank))
    problems += [each.at(where, ": ") for each in wrong]
    return msgspec.structs.replace(blank, **found), frozenset(found)


def read_value(given: Any, type_: Any) -> tuple[Any, list[FieldProblem]]:
    """Return a value that is no entry, converted, and what is wrong with it; None in its place then."""
    try:
        return msgspec.convert(given, type_), []
    except msgspec.ValidationError as error:
        return None, _told("", given, type_, error)


def _told(name: str, value: Any, type_: Any, error: msgspec.ValidationError) -> list[FieldProblem]:
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct) and isinstance(value, Mapping):
        inner = read_fields(value, type_)[1]
        if inner:
            return [FieldProblem(".".join(filter(None, (name, each.field))), each.detail) for each in inner]
    if isinstance(value, list) and (item := _item(type_)) is not None:
        inner = [
            FieldProblem(name + _place(number, each.field), each.detail)
            for number, given in enumerate(value)
            for each in read_value(given, item)[1]
        ]
        if inner:
            return inner
    where, what = type_problem_of(error)
    choices, others = _choices(type_)
    if choices and not where and isinstance(value, str):
        shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
        what = f"{shown!r} is none of {', '.join(choices)}{others}"
    return [FieldProblem(f"{name}{where}", what)]


def _place(number: int, field: str) -> str:
    """Write the place of a field within an item of a list."""
    return f"[{number}]{'.' if field and not field.startswith('[') else ''}{field}"


def _item(type_: Any) -> Any:
    """Return the type of what a list has, where the field is one or may be; None where it is not."""
    for each in (type_, *get_args(type_)):
        of = get_args(each)
        if get_origin(each) is list or (get_origin(each) is tuple and of[-1] is Ellipsis):
            return of[0]
    return None


def _choices(type_: Any) -> tuple[list[str], str]:
    """Return the words that a field may be, and what else it may be."""
    if get_origin(type_) is Literal:
        return [str(each) for each in get_args(type_)], ""
    found: list[str] = []
    others = ""
    for each in get_args(type_) if get_origin(type_) is not list else ():
        if get_origin(each) is Literal:
            found += map(str, get_args(each))
        elif get_origin(each) is list:
            others = ", nor a list"
    return found, others
