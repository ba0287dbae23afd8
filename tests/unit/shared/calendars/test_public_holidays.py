"""The table of public holidays: what it says, and that it is what the package says."""

from __future__ import annotations

from datetime import date

import pytest

from services.cli.pages.public_holidays import TABLE, lines_of
from services.shared.calendars import public_holidays
from services.shared.calendars.public_holidays import holidays, normal, weekend
from services.shared.units import day_number


def number(year: int, month: int, day: int) -> int:
    return day_number(date(year, month, day))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("DE", "DE"),
        (" de-by ", "DE-BY"),
        ("us-ca", "US-CA"),
        ("Germany", None),
        ("DE-XX", None),
        ("DE-", None),
        ("", None),
    ],
)
def test_a_code_is_one_of_iso_3166_without_regard_to_case(sent: str, kept: str | None) -> None:
    assert normal(sent) == kept


def test_a_part_of_a_country_has_holidays_of_its_own() -> None:
    epiphany = number(2026, 1, 6)
    assert epiphany in holidays("DE-BY")
    assert epiphany not in holidays("DE")
    assert number(2026, 12, 25) in holidays("DE-BY")
    assert list(holidays("DE-BY")) == sorted(holidays("DE-BY"))


def test_a_part_may_lack_a_holiday_of_its_country() -> None:
    columbus = number(2026, 10, 12)
    assert columbus in holidays("US")
    assert columbus not in holidays("US-CA")


def test_weekends_are_those_of_the_country() -> None:
    assert weekend("DE-BY") == {5, 6}
    assert weekend("EG") == {4, 5}


def test_the_table_covers_the_years_that_accounts_are_judged_in() -> None:
    assert public_holidays.FIRST_YEAR <= 2020
    assert public_holidays.LAST_YEAR >= 2035


@pytest.mark.parametrize("code", ["DE", "JP", "BR"])
def test_the_table_is_what_its_maker_writes(code: str) -> None:
    kept = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith((f"{code} ", f"{code}-"))]
    assert kept == lines_of(code)
