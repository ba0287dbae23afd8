"""How a report speaks: its words, and how its language writes numbers, shares, days and names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal, get_decimal_symbol

from services.shared.units import date_of
from services.shared.wording import Catalogue

NOTHING = "-"


class Speech:
    """The words of a report in one language."""

    def __init__(self, words: Catalogue) -> None:
        self._words = words
        self.language = words.language
        self.decimal = get_decimal_symbol(words.locale)

    def __call__(self, key: str, count: float | None = None, **values: Any) -> str:
        """Return the text of a key; `count` chooses the plural form, and is `{shown}` as the language writes it."""
        if count is not None:
            values.setdefault("shown", self.number(count))
        return self._words(key, count, **values)

    def has(self, key: str) -> bool:
        """Return whether there is a text of this key."""
        return self._words.has(key)

    def number(self, value: float | None, digits: int = 0) -> str:
        """Return a number for a sentence, with its thousands apart."""
        return NOTHING if value is None or math.isnan(value) else self._written(f"{value:.{digits}f}", digits, "#,##0")

    def cell(self, value: float | None, digits: int = 0) -> str:
        """Return a number for a table."""
        return NOTHING if value is None or math.isnan(value) else self._written(f"{value:.{digits}f}", digits, "0")

    def short(self, value: float) -> str:
        """Return a number with no more digits than it has."""
        text = f"{value:g}"
        return self._written(text, len(text.partition(".")[2]), "0")

    def percent(self, share: float, digits: int = 0) -> str:
        """Return a share of 1 in per cent."""
        return NOTHING if math.isnan(share) else self("percent", shown=self.cell(100 * share, digits))

    def interval(self, interval: tuple[float, float, float], digits: int) -> str:
        """Return a value with the lower and the upper end of the range in which it lies."""
        value, low, high = (self.cell(each, digits) for each in interval)
        return value if NOTHING in {value, low} else self("interval", value=value, low=low, high=high)

    def day(self, day: int) -> str:
        """Return a day, given in days since 1970 UTC."""
        return format_date(date_of(day), self("day_pattern"), locale=self._words.locale)

    def days(self, days: float) -> str:
        """Return how many days, in whole ones."""
        return self("days", count=round(days))

    def named(self, kind: str, name: str) -> str:
        """Return what an alarm or a score is called; after the point of its name stands its number."""
        key, _, number = name.partition(".")
        return self(f"{kind}.{key}", count=int(number) if number else None)

    def quoted(self, names: Sequence[str]) -> str:
        """Return names in quotes, the last with an "and"."""
        quoted = [self("quoted", name=name) for name in names]
        return self("and", first=", ".join(quoted[:-1]), last=quoted[-1]) if quoted[1:] else quoted[0]

    def _written(self, text: str, digits: int, whole: str) -> str:
        """Write digits that were rounded already, so that they are the same ones in every language."""
        pattern = f"{whole}.{'0' * digits}" if digits else whole
        return format_decimal(Decimal(text), pattern, locale=self._words.locale)
