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
from typing import NamedTuple

TABLE = Path(__file__).with_name("public_holidays.txt")

_EPOCH = date(1970, 1, 1).toordinal()


class _Country(NamedTuple):
    weekend: frozenset[int]
    parts: frozenset[str]


def _read(text: str) -> tuple[dict[str, _Country], dict[str, dict[int, list[str]]]]:
    """Return the countries, and by code and year what the table says."""
    countries: dict[str, _Country] = {}
    said: dict[str, dict[int, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        code, what, *words = line.split()
        if what == "weekend":
            countries[code] = _Country(frozenset(map(int, words)), frozenset())
        elif what == "parts":
            countries[code] = countries[code]._replace(parts=frozenset(words))
        else:
            said.setdefault(code, {})[int(what)] = words
    return countries, said


_TEXT = TABLE.read_text("utf-8")
_COUNTRIES, _SAID = _read(_TEXT)

VERSION = hashlib.sha256(_TEXT.encode()).hexdigest()[:12]
"""Names the table by its content."""
FIRST_YEAR = min(year for years in _SAID.values() for year in years)
LAST_YEAR = max(year for years in _SAID.values() for year in years)
"""The years of the table; before and after them no day is a holiday."""


def normal(code: str) -> str | None:
    """Return a code as the table has it, `DE` or `DE-BY`; None: there is no such country or part of one."""
    country, _, part = code.strip().upper().partition("-")
    known = _COUNTRIES.get(country)
    if known is None or (part and part not in known.parts) or code.strip().endswith("-"):
        return None
    return f"{country}-{part}" if part else country


def weekend(code: str) -> frozenset[int]:
    """Return the days of the week that are no working days, 0 for Monday."""
    return _COUNTRIES[code.partition("-")[0]].weekend


@lru_cache(maxsize=1024)
def holidays(code: str) -> tuple[int, ...]:
    """Return the public holidays of a code that `normal` returned, in order."""
    country, _, part = code.partition("-")
    found = {_day(year, word) for year, words in _SAID.get(country, {}).items() for word in words}
    for year, words in _SAID.get(code, {}).items() if part else ():
        for word in words:
            if word[0] == "+":
                found.add(_day(year, word[1:]))
            else:
                found.discard(_day(year, word[1:]))
    return tuple(sorted(found))


def _day(year: int, word: str) -> int:
    return date(year, int(word[:2]), int(word[2:])).toordinal() - _EPOCH
