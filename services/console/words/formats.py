"""Numbers, money and days as a language writes them. Days are those that the log counts, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import (
    format_compact_currency,
    format_compact_decimal,
    format_currency,
    format_decimal,
    format_percent,
)

_WHOLE_FROM = 10
_MOST = 1e15
_LIMITS = 5
"""Shares that rules compare with are multiples of so many percent."""
_CENTS = re.compile(r"\.0+")
DASH = "–"


class Formats:
    """How one reader reads values."""

    def __init__(self, locale: Locale, currency: str | None) -> None:
        self.locale = locale
        self.currency = currency

    def number(self, value: float | None, digits: int = 0) -> str:
        """Return a number with at most so many digits after the point; a dash where it is not known."""
        if value is None:
            return DASH
        return _number(value, digits, self.locale)

    def count(self, value: float) -> str:
        """Return a count in short."""
        return format_compact_decimal(value, locale=self.locale, fraction_digits=_digits(value))

    def score(self, value: float | None) -> str:
        """Return a score as whole points."""
        return DASH if value is None else self.number(value)

    def change(self, value: float | None) -> str:
        """Return a change with its sign."""
        if value is None:
            return DASH
        rounded = round(value)
        return "±0" if rounded == 0 else _change(rounded, self.locale)

    def change_exact(self, value: float) -> str:
        """Return a change with its sign and one decimal, so that changes can be added up."""
        return format_decimal(value, "+#,##0.0;−#,##0.0", locale=self.locale)

    def log_odds(self, thousandths: int) -> str:
        """Return log-odds with their sign and three decimals, so that they can be added up."""
        return format_decimal(Decimal(thousandths) / 1000, "+#,##0.000;−#,##0.000", locale=self.locale)

    def money(self, value: float | None, *, short: bool = True) -> str:
        """Return money, in short as `84 K`; a plain number where the currency is not known."""
        if value is None or abs(value) > _MOST:
            return DASH
        if short:
            return _short_money(value, self.currency, self.locale)
        if self.currency is None:
            return self.number(value)
        return format_currency(
            value, self.currency, _whole_money(self.locale), locale=self.locale, currency_digits=False
        )

    def share(self, value: float | None) -> str:
        """Return a share of 1 in percent."""
        return DASH if value is None else _share(round(value, 4), self.locale)

    def level(self, value: float | None) -> str:
        """Return a share that rules compare, in percent, with a decimal where it would be rounded up to a multiple of five, as limits are."""
        if value is None:
            return DASH
        percent = round(100 * value, 2)
        whole = round(percent)
        if whole % _LIMITS or percent >= whole:
            return self.share(value)
        return _exact_share(next(each for each in (round(percent, 1), percent) if each < whole) / 100, self.locale)

    def day(self, day: str | None) -> str:
        """Return a day of the log, given as `2026-03-31`."""
        return DASH if not day else _day(day, self.locale)

    def short_day(self, day: str | None) -> str:
        """Return a day of the log without its year."""
        return DASH if not day else format_skeleton("MMMd", datetime.fromisoformat(day), locale=self.locale)

    def month(self, day: str) -> str:
        """Return the month of a day; that of January with its year."""
        moment = date.fromisoformat(day)
        return format_date(moment, "MMM y" if moment.month == 1 else "MMM", locale=self.locale)

    def hour(self, at: str) -> str:
        """Return an hour, given as ISO 8601 in UTC, in UTC; with its day where the day begins."""
        moment = datetime.fromisoformat(at).astimezone(UTC)
        return format_datetime(moment, "HH:mm" if moment.hour else "d MMM", locale=self.locale)

    def time_of_day(self, at: str) -> str:
        """Return the time of day of a time, with seconds, in UTC."""
        return format_datetime(datetime.fromisoformat(at).astimezone(UTC), "HH:mm:ss 'UTC'", locale=self.locale)

    def time(self, at: str | None) -> str:
        """Return a time, given as ISO 8601 in UTC, in UTC: scripts put it into the reader's zone."""
        if not at:
            return DASH
        moment = datetime.fromisoformat(at).astimezone(UTC)
        return format_datetime(moment, "d MMM, HH:mm 'UTC'", locale=self.locale)


def _digits(value: float) -> int:
    """Return how many digits a compact number keeps: 8.4 K but 84 K."""
    scaled = abs(value)
    while scaled >= 1000:
        scaled /= 1000
    return 1 if 0 < scaled < _WHOLE_FROM else 0


# Babel takes some tens of microseconds a value, and a list has hundreds, most of them the same as a moment ago.
_kept = lru_cache(maxsize=4096)


@_kept
def _number(value: float, digits: int, locale: Locale) -> str:
    return format_decimal(value, f"#,##0.{'#' * digits}" if digits else "#,##0", locale=locale)


@_kept
def _change(value: int, locale: Locale) -> str:
    return format_decimal(value, "+#,##0;−#,##0", locale=locale)


@_kept
def _share(value: float, locale: Locale) -> str:
    return format_percent(value, locale=locale)


@_kept
def _exact_share(value: float, locale: Locale) -> str:
    return format_percent(round(value, 4), locale=locale, decimal_quantization=False)


@_kept
def _short_money(value: float, currency: str | None, locale: Locale) -> str:
    if currency is None:
        return format_compact_decimal(value, locale=locale, fraction_digits=_digits(value))
    return format_compact_currency(value, currency, locale=locale, fraction_digits=_digits(value))


@_kept
def _whole_money(locale: Locale) -> str:
    """Return the pattern of money without its cents, the sign of the currency where the language writes it."""
    return _CENTS.sub("", locale.currency_formats["standard"].pattern)


@_kept
def _day(day: str, locale: Locale) -> str:
    return format_date(date.fromisoformat(day), "medium", locale=locale)
