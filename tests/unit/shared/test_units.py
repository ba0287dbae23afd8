"""Dates are read as people are told to write them."""

from __future__ import annotations

from datetime import date

import pytest

from services.shared.units import read_date, read_time, written_time


def test_a_date_is_year_month_and_day() -> None:
    assert read_date("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize(
    "text", ["2025-W10-1", "2025W101", "20250303", "2025-3-3", "2025-02-29", "2025-03-03T00:00", "２０２５-03-03", ""]
)
def test_what_is_written_in_another_way_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_date(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:00.0009", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2025-12-01T02:02:03.412999+01:00", 1_764_550_923_412),
        ("2025-12-01", 1_764_547_200_000),
    ],
)
def test_a_time_is_read_in_utc_and_cut(text: str, at: int) -> None:
    assert read_time(text) == at


def test_a_time_is_written_in_utc_and_cut() -> None:
    now = 1_764_550_923_412
    assert written_time(now) == "2025-12-01T01:02:03Z"
    assert written_time(now, "minutes") == "2025-12-01T01:02Z"
    assert [written_time(at, "milliseconds") for at in (5, now)] == [
        "1970-01-01T00:00:00.005Z",
        "2025-12-01T01:02:03.412Z",
    ]
