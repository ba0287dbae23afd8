"""
The parameters of questions: each parses its text, says what is wrong with it, and describes itself for the document.

A wrong or unknown parameter is `Rejected` with its name: a filter that is misspelt and silently ignored would answer
another question than the one that was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.shared.errors import Rejected
from services.shared.units import day_number, read_date, read_time

_LAST_YEAR = 2199
"""The year of the last day that may be asked for; ClickHouse's times end a century later."""
Schema = dict[str, Any]


class Parameter(Protocol):
    """One parameter of a question."""

    @property
    def name(self) -> str:
        """How it is called in the address."""

    @property
    def about(self) -> str:
        """What it does, for the document."""

    @property
    def default(self) -> Any:
        """What holds where it is not given."""

    def parse(self, text: str) -> Any:
        """
        Return what a text says.

        Raises:
            Rejected: nothing that the parameter can be.
        """

    def schema(self) -> Schema:
        """Return the JSON Schema of its texts."""


def parsed(wanted: Sequence[Parameter], given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """
    Return the value of each parameter by its name.

    Raises:
        Rejected: names the first parameter that is wrong, unknown or there twice.
    """
    texts = each_once(given)
    known = {each.name: each for each in wanted}
    for name in sorted(texts):
        if name not in known:
            there = ", ".join(known) or "none"
            raise Rejected("unknown_parameter", name[:100], f"there is no such parameter; there are: {there}")
    return {name: each.parse(texts[name]) if name in texts else each.default for name, each in known.items()}


def each_once(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """
    Return the texts of parameters by their names.

    Raises:
        Rejected: one is there twice, and it would be chance which of its texts counts.
    """
    texts: dict[str, str] = {}
    for name, text in given:
        if name in texts:
            raise Rejected("bad_parameter", name[:100], "is given more than once")
        texts[name] = text
    return texts


@dataclass(frozen=True)
class TextParameter:
    """Any text up to a length."""

    name: str
    about: str
    longest: int = 1_000
    default: str = ""

    def parse(self, text: str) -> str:
        """Return it."""
        if len(text) > self.longest:
            raise Rejected("bad_parameter", self.name, f"is longer than {self.longest} characters")
        return text

    def schema(self) -> Schema:
        """Say its length."""
        return {"type": "string", "maxLength": self.longest}


@dataclass(frozen=True)
class TextsParameter:
    """Several texts with commas between; one that has a comma itself is also found whole."""

    name: str
    about: str
    default: tuple[str, ...] = ()

    def parse(self, text: str) -> tuple[str, ...]:
        """Return each, and the whole."""
        if len(text) > 1_000:
            raise Rejected("bad_parameter", self.name, "is longer than 1000 characters")
        return tuple(dict.fromkeys(each for each in (*map(str.strip, text.split(",")), text) if each))

    def schema(self) -> Schema:
        """Say its length."""
        return {"type": "string", "maxLength": 1_000}


@dataclass(frozen=True)
class ChoicesParameter:
    """Some of a few words, in any case, with commas between."""

    name: str
    about: str
    allowed: tuple[str, ...]
    default: tuple[str, ...] = ()

    def parse(self, text: str) -> tuple[str, ...]:
        """Return each once."""
        found = tuple(dict.fromkeys(each.strip().upper() for each in text[:1_000].split(",")))
        for each in found:
            if each not in self.allowed:
                raise Rejected(
                    "bad_parameter", self.name, f"{each[:100]!r} is none of {', '.join(self.allowed).lower()}"
                )
        return found

    def schema(self) -> Schema:
        """Name the words."""
        one = "|".join(f"{each}|{each.lower()}" for each in self.allowed)
        return {"type": "string", "pattern": f"^({one})(,({one}))*$"}


@dataclass(frozen=True)
class ChoiceParameter:
    """One of a few words; or none, where the default is empty."""

    name: str
    about: str
    allowed: tuple[str, ...]
    default: str

    def parse(self, text: str) -> str:
        """Return it in lower case."""
        if text.lower() not in self.allowed:
            raise Rejected("bad_parameter", self.name, f"{text[:100]!r} is none of {', '.join(self.allowed)}")
        return text.lower()

    def schema(self) -> Schema:
        """Name the words."""
        told: Schema = {"type": "string", "enum": list(self.allowed)}
        return told | {"default": self.default} if self.default else told


@dataclass(frozen=True)
class SortParameter:
    """What a list is sorted by; a minus turns the order round."""

    name: str
    about: str
    allowed: tuple[str, ...]
    default: tuple[str, bool]

    def parse(self, text: str) -> tuple[str, bool]:
        """Return the word, and whether the order is turned round."""
        word = text.removeprefix("-").lower()
        if word not in self.allowed:
            detail = f"{text[:100]!r} is none of {', '.join(self.allowed)}, with or without a minus before it"
            raise Rejected("bad_parameter", self.name, detail)
        return word, text.startswith("-")

    def schema(self) -> Schema:
        """Name the words."""
        return {"type": "string", "enum": [sign + each for each in self.allowed for sign in ("", "-")]}


@dataclass(frozen=True)
class NumberParameter:
    """A whole number."""

    name: str
    about: str
    default: int
    least: int
    most: int

    def parse(self, text: str) -> int:
        """Return it."""
        if not (text.isascii() and text.isdigit() and len(text) <= 17) or not self.least <= int(text) <= self.most:
            detail = f"{text[:100]!r} is not a whole number from {self.least} to {self.most}"
            raise Rejected("bad_parameter", self.name, detail)
        return int(text)

    def schema(self) -> Schema:
        """Name its bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most, "default": self.default}


@dataclass(frozen=True)
class FlagParameter:
    """True, false, or not said."""

    name: str
    about: str
    default: bool | None = None

    def parse(self, text: str) -> bool:
        """Return it."""
        found = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
        if found is None:
            raise Rejected("bad_parameter", self.name, f"{text[:100]!r} is neither true nor false")
        return found

    def schema(self) -> Schema:
        """Say what it is."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class DayParameter:
    """A day of UTC, as days since 1970."""

    name: str
    about: str
    default: None = None

    def parse(self, text: str) -> int:
        """Return it."""
        try:
            found = read_date(text)
        except ValueError:
            raise Rejected("bad_parameter", self.name, f"{text[:100]!r} is no day such as 2026-03-31") from None
        if not 1970 <= found.year <= _LAST_YEAR:
            raise Rejected("bad_parameter", self.name, f"{text} is not within 1970 to {_LAST_YEAR}")
        return day_number(found)

    def schema(self) -> Schema:
        """Say its format."""
        return {"type": "string", "format": "date"}


@dataclass(frozen=True)
class TimeParameter:
    """A day or a moment, as milliseconds since 1970 UTC; without a zone it is UTC."""

    name: str
    about: str
    default: None = None

    def parse(self, text: str) -> int:
        """Return it."""
        try:
            read_date(text[:10])
            return read_time(text)
        except (ValueError, OverflowError):
            detail = f"{text[:100]!r} is no date or time such as 2026-03-31 or 2026-03-31T12:00:00Z"
            raise Rejected("bad_parameter", self.name, detail) from None

    def schema(self) -> Schema:
        """Say its format."""
        return {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}
