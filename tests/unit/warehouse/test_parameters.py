"""The texts that parameters of questions take, and what they stand for."""

from __future__ import annotations

from typing import Any

import pytest

from services.shared.errors import Rejected
from services.shared.units import DAY_MS, HOUR_MS
from services.warehouse.domain.parameters import (
    ChoicesParameter,
    DayParameter,
    FlagParameter,
    NumberParameter,
    Parameter,
    SortParameter,
    TextParameter,
    TextsParameter,
    TimeParameter,
)

TEXT, TEXTS = TextParameter("p", "", longest=4), TextsParameter("p", "")
CHOICES, SORT = ChoicesParameter("p", "", ("RED", "GREEN")), SortParameter("p", "", ("score", "name"), ("score", False))
NUMBER, FLAG = NumberParameter("p", "", 5, 2, 9), FlagParameter("p", "")
DAY, TIME = DayParameter("p", ""), TimeParameter("p", "")


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (TEXT, "1234", "1234"),
        (TEXT, "", ""),
        (TEXTS, " a, b,,a", ("a", "b", " a, b,,a")),
        (TEXTS, "a", ("a",)),
        (TEXTS, "", ()),
        (CHOICES, "red, GREEN,Red", ("RED", "GREEN")),
        (SORT, "Score", ("score", False)),
        (SORT, "-name", ("name", True)),
        (NUMBER, "2", 2),
        (NUMBER, "009", 9),
        (FLAG, "TRUE", True),
        (FLAG, "0", False),
        (DAY, "1970-01-01", 0),
        (DAY, "2028-02-29", 21_243),
        (DAY, "2199-12-31", 84_005),
        (TIME, "1970-01-02", DAY_MS),
        (TIME, "1970-01-02T00:00:00.0019", DAY_MS + 1),
        (TIME, "1970-01-02T00:00:00+01:00", DAY_MS - HOUR_MS),
        (TIME, "1969-12-31T23:59:59.9999Z", -1),
    ],
)
def test_a_text_stands_for_a_value(parameter: Parameter, text: str, value: Any) -> None:
    assert parameter.parse(text) == value


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (TEXT, "12345"),
        (TEXTS, "x" * 1_001),
        (CHOICES, ""),
        (CHOICES, "red,blue"),
        (SORT, "--score"),
        (SORT, ""),
        (NUMBER, "1"),
        (NUMBER, "10"),
        (NUMBER, "-5"),
        (NUMBER, "5.0"),
        (NUMBER, "٥"),
        (NUMBER, "0" * 17 + "5"),
        (FLAG, "yes"),
        (DAY, "1969-12-31"),
        (DAY, "2200-01-01"),
        (DAY, "2027-02-29"),
        (DAY, "20270301"),
        (TIME, "2027-02-29T00:00:00Z"),
        (TIME, "20270301T000000Z"),
        (TIME, "0001-01-01T00:00:00+25:00"),
    ],
)
def test_a_text_that_stands_for_nothing_is_refused_by_the_name_of_its_parameter(
    parameter: Parameter, text: str
) -> None:
    with pytest.raises(Rejected) as refused:
        parameter.parse(text)

    assert (refused.value.code, refused.value.field) == ("bad_parameter", "p")
