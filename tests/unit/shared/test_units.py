"""Dates are read as people are told to write them."""

from __future__ import annotations

from datetime import date

import pytest

from services.shared.units import written_date


def test_a_date_is_year_month_and_day() -> None:
    assert written_date("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize(
    "text", ["2025-W10-1", "2025W101", "20250303", "2025-3-3", "2025-02-29", "2025-03-03T00:00", "２０２５-03-03", ""]
)
def test_what_is_written_in_another_way_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        written_date(text)
