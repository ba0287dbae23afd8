"""Numbers, money, days and times as each language writes them."""

import pytest
from babel import Locale

from services.console.words.formats import Formats

EN, IT = Formats(Locale("en"), "EUR"), Formats(Locale("it"), "EUR")
PLAIN = Formats(Locale("en"), None)


@pytest.mark.parametrize(
    ("formats", "value", "text"),
    [
        (EN, 8_432.0, "€8.4K"),
        (EN, 84_320.0, "€84K"),
        (EN, 0.0, "€0"),
        (EN, None, "–"),
        (EN, 1e300, "–"),
        (EN, -84_320.0, "-€84K"),
        (PLAIN, 84_320.0, "84K"),
    ],
)
def test_money_is_short(formats: Formats, value: float | None, text: str) -> None:
    assert formats.money(value) == text


def test_money_is_written_whole_where_it_is_asked_for() -> None:
    assert EN.money(84_320.4, short=False) == "€84,320"
    assert IT.money(84_320.4, short=False) == "84.320\xa0€"
    assert PLAIN.money(84_320.4, short=False) == "84,320"


def test_numbers_have_the_separators_of_the_language() -> None:
    assert EN.number(12_345.678, 1) == "12,345.7"
    assert IT.number(12_345.678, 1) == "12.345,7"
    assert EN.number(None) == "–"


@pytest.mark.parametrize(("value", "text"), [(3.4, "+3"), (-12.6, "−13"), (0.3, "±0"), (-0.3, "±0"), (None, "–")])
def test_a_change_has_its_sign(value: float | None, text: str) -> None:
    assert EN.change(value) == text


def test_days_are_those_of_the_log_and_times_are_in_utc() -> None:
    assert EN.day("2026-03-31") == "Mar 31, 2026"
    assert IT.short_day("2026-03-31") == "31 mar"
    assert EN.day(None) == "–"
    assert EN.time("2026-03-31T23:30:00.000Z") == "31 Mar, 23:30 UTC"
    assert EN.hour("2026-03-31T23:00:00.000Z") == "23:00"
    assert EN.hour("2026-03-31T00:00:00.000Z") == "31 Mar"
