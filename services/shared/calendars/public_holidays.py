"""
The public holidays of countries and their parts, from a table that is part of this release.

Pure module: domains may import it. The table is data like the model: it is read at import, has a version, and changes
with a release only (docs/adr/0116). `python -m services.cli.pages.public_holidays` makes it.

A code is that of ISO 3166: a country (`DE`) or a part of one (`DE-BY`). Days are days since 1970 UTC.
"""

from __future__ import annotations

import hashlib
from datetime import date
from functools import lru_cache
from pathlib import Path

from services.shared.units import day_number

TABLE = Path(__file__).with_name("public_holidays.txt")


_TEXT = TABLE.read_text("utf-8")

VERSION = hashlib.sha256(_TEXT.encode()).hexdigest()[:12]
"""Names the table by its content."""


def _places() -> dict[str, tuple[int, int]]:
    """Return where in the text the lines of each code are; they follow each other."""
    found: dict[str, tuple[int, int]] = {}
    start = 0
    while start < len(_TEXT):
        end = _TEXT.index("\n", start) + 1
        if _TEXT[start] != "#":
            code = _TEXT[start : _TEXT.index(" ", start)]
            found[code] = (found.get(code, (start, start))[0], end)
        start = end
    return found


_PLACES = _places()


def _lines(code: str) -> list[list[str]]:
    """Return the lines of a code, as words without the code."""
    start, end = _PLACES.get(code, (0, 0))
    return [line.split()[1:] for line in _TEXT[start:end].splitlines()]


def _years(code: str) -> dict[int, list[str]]:
    return {int(what): words for what, *words in _lines(code) if what.isdecimal()}


FIRST_YEAR, LAST_YEAR = min(_years("US")), max(_years("US"))
"""The years of the table; before and after them no day is a holiday."""


@lru_cache(maxsize=1024)
def normal(code: str) -> str | None:
    """Return a code as the table has it, `DE` or `DE-BY`; None: there is no such country or part of one."""
    wanted = code.strip().upper()
    country, dash, part = wanted.partition("-")
    if country not in _PLACES:
        return None
    parts = next((words for what, *words in _lines(country) if what == "parts"), [])
    return wanted if part in parts or not dash else None


@lru_cache(maxsize=1024)
def weekend(code: str) -> frozenset[int]:
    """Return the days of the week that are no working days, 0 for Monday."""
    country = code.partition("-")[0]
    return frozenset(map(int, next(words for what, *words in _lines(country) if what == "weekend")))


@lru_cache(maxsize=1024)
def holidays(code: str) -> tuple[int, ...]:
    """Return the public holidays of a code that `normal` returned, in order."""
    country, _, part = code.partition("-")
    found = {_day(year, word) for year, words in _years(country).items() for word in words}
    for year, words in _years(code).items() if part else ():
        for word in words:
            if word[0] == "+":
                found.add(_day(year, word[1:]))
            else:
                found.discard(_day(year, word[1:]))
    return tuple(sorted(found))


def _day(year: int, word: str) -> int:
    return day_number(date(year, int(word[:2]), int(word[2:])))
