"""
Cases of rule tests: what accounts did, day by day, and which signals must and must not follow.

A case is a YAML file with a compact day series for each account; docs/rule-tests.md has the format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from services.shared.files import quick_yaml
from services.shared.files.expected_types import type_problem_of
from services.shared.units import date_of, day_number, read_date

MOST_DAYS = 2000
HOURS = 24

_REPEAT = re.compile(r"(\d+)(?:x(\d+))?|\(([^()]*)\)x(\d+)")


class OneEvent(msgspec.Struct, forbid_unknown_fields=True):
    """One event besides the daily ones, such as a ticket or a survey answer; by default at noon of its day."""

    day: int
    name: str
    user: str = ""
    properties: dict[str, Any] = {}
    hour: int = 12


class Story(msgspec.Struct, forbid_unknown_fields=True):
    """What one account does, or several alike."""

    days: str
    """Active people day by day: `5x30 0x10`, `(5 5 5 5 5 0 0)x32`. After its end the last seven days come again."""
    agents: str = ""
    """Active agents day by day, in the same way; after its end the last seven days come again."""
    integrations: str = ""
    """The same of integrations."""
    count: int = 1
    """So many accounts do the same; their names get a number."""
    value: bool = True
    """Whether an active day brings an event of value."""
    traits: dict[int, dict[str, Any]] = {}
    """Group traits by the day on which they are sent; a value `day N` becomes the date of that day."""
    roles: dict[int, dict[str, str]] = {}
    """By the day on which it is said, the role of each user."""
    events: list[OneEvent] = []

    @property
    def series(self) -> dict[str, str]:
        """The day series by the actor that they are of."""
        return {"person": self.days, "agent": self.agents, "integration": self.integrations}


class Expected(msgspec.Struct, forbid_unknown_fields=True):
    """One signal that must come. `day` is the day on which it is published: a number, or first and last."""

    account: str
    rule: str
    transition: str
    day: int | tuple[int, int]
    severity: str | None = None
    reason: str | None = None


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """One file."""

    about: str
    accounts: dict[str, Story]
    expect: list[Expected] = []
    start: str = "2024-01-01"
    """First day; by default a Monday."""
    beside: list[str] = []
    """Rules that this case is not about: their signals are passed over."""

    @property
    def days(self) -> int:
        """How many days it has: those of the longest series."""
        return max((len(series(text)) for story in self.accounts.values() for text in story.series.values()), default=0)

    @property
    def first_day(self) -> int:
        """The first day, counted from 1970."""
        return day_number(read_date(self.start))


class BadCase(ValueError):
    """A case cannot be read; says where."""


def read_case(path: Path) -> Case:
    """
    Read one file.

    Raises:
        BadCase: it is not a valid case.
    """
    try:
        case = _converted(quick_yaml.read(path.read_text("utf-8")))
        read_date(case.start)
        if not all(series(story.days) for story in case.accounts.values()):
            raise ValueError("day series: no day at all")
        for story in case.accounts.values():
            series(story.agents), series(story.integrations)
        _refuse_what_is_never_played(case)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise BadCase(f"{path}: {error}") from error
    return case


def _converted(given: Any) -> Case:
    """Return the case, or name the field that is wrong: of an account by the account, of which the error alone says nothing."""
    try:
        return msgspec.convert(given, Case, strict=False)
    except msgspec.ValidationError as error:
        stories = given.get("accounts") if isinstance(given, dict) else None
        for account, story in stories.items() if isinstance(stories, dict) else ():
            try:
                msgspec.convert(story, Story, strict=False)
            except msgspec.ValidationError as wrong:
                where, detail = type_problem_of(wrong)
                raise ValueError(f"accounts.{account}{where}: {detail}") from error
        where, detail = type_problem_of(error)
        raise ValueError(f"{where.removeprefix('.') or 'the case'}: {detail}") from error


def _refuse_what_is_never_played(case: Case) -> None:
    if not case.accounts:
        raise ValueError("accounts: there is none, so nothing would be tested")
    for account, story in case.accounts.items():
        if story.count < 1:
            raise ValueError(f"accounts.{account}.count: must be at least 1, else the account is not there")
        for number, event in enumerate(story.events):
            if not 0 <= event.hour < HOURS:
                raise ValueError(
                    f"accounts.{account}.events[{number}].hour: must be 0 to {HOURS - 1}, the hours of its day"
                )
        given = [(f"traits: {day}", day) for day in story.traits] + [(f"roles: {day}", day) for day in story.roles]
        given += [(f"events[{number}].day: {event.day}", event.day) for number, event in enumerate(story.events)]
        for field, day in given:
            if not 0 <= day < case.days:
                raise ValueError(f"accounts.{account}.{field} is no day of this case, which has 0 to {case.days - 1}")


def series(text: str) -> list[int]:
    """
    Unfold a compact day series.

    Raises:
        ValueError: something in it is neither `N`, `NxM` nor `(...)xM`, or it is longer than MOST_DAYS.
    """
    found: list[int] = []
    at = 0
    text = " ".join(text.split())
    while at < len(text):
        match = _REPEAT.match(text, at)
        if match is None or (match.end() < len(text) and text[match.end()] != " "):
            raise ValueError(f"day series: cannot read {text[at:]!r}")
        if match[1] is not None:
            found += [int(match[1])] * int(match[2] or 1)
        else:
            found += series(match[3]) * int(match[4])
        if len(found) > MOST_DAYS:
            raise ValueError(f"day series: more than {MOST_DAYS} days")
        at = match.end() + 1
    return found


def dated(given: Mapping[str, Any], first_day: int) -> dict[str, Any]:
    """Return traits or properties with the date of each value `day N`; the first day counts from 1970."""
    return {name: _date_of(value, first_day) for name, value in given.items()}


def _date_of(value: Any, first_day: int) -> Any:
    if isinstance(value, str) and (match := re.fullmatch(r"day (-?\d+)", value)):
        return date_of(first_day + int(match[1])).isoformat()
    return value


def each_account(case: Case) -> Iterator[tuple[str, Story]]:
    """Yield every account with its story; of several alike, each by a name of its own."""
    for name, story in case.accounts.items():
        if story.count == 1:
            yield name, story
        else:
            yield from ((f"{name}-{number}", story) for number in range(1, story.count + 1))
