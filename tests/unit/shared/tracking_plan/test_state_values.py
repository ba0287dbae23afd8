"""What state is read from: days, ids of cases, scores and planned absences, as ingest and the scorer read them."""

from __future__ import annotations

from typing import Any

import pytest

from services.shared.tracking_plan.dates import read_day
from services.shared.tracking_plan.state_values import (
    MAX_ABSENT_DAYS,
    MAX_DAYS_AHEAD,
    WITHDRAWN,
    Fault,
    PlannedAbsence,
    case_id,
    planned_absence,
    score,
)
from services.shared.units import DAY_S, date_of

LAST = 84_005  # 2199-12-31


@pytest.mark.parametrize(
    ("given", "day"),
    [
        ("1970-01-01", 0),
        ("2199-12-31", LAST),
        ("2028-02-29", 21_243),
        (" 1970-01-02 ", 1),
        ("19700102", 1),
        ("1970-01-02T23:30:00", 1),
        ("1970-01-02T23:30:00-02:00", 2),
        ("1970-01-02T00:30:00+02:00", 0),
        (0, 0),
        (DAY_S - 1, 0),
        (float(DAY_S), 1),
        (99_999_999_999, None),
        (100_000_000_000, 1_157),
        (LAST * DAY_S, LAST),
        ((LAST + 1) * DAY_S, None),
        ((LAST + 1) * DAY_S * 1_000, None),
        (-1, None),
        (float("nan"), None),
        ("1969-12-31", None),
        ("2200-01-01", None),
        ("2027-02-29", None),
        ("0001-01-01T00:00:00+02:00", None),
        ("soon", None),
        ("", None),
        (None, None),
        (True, None),
        ([], None),
    ],
)
def test_a_day_is_that_of_utc_from_1970_to_2199(given: Any, day: int | None) -> None:
    if day is None:
        with pytest.raises((TypeError, ValueError), match="send a date"):
            read_day(given)
    else:
        assert read_day(given) == day


@pytest.mark.parametrize(
    ("given", "read"),
    [("t-1", "t-1"), (7, "7"), ("x" * 128, "x" * 128), ("x" * 129, None), ("", None), (True, None), (1.0, None)],
)
def test_a_case_has_a_text_or_a_whole_number_as_its_id(given: Any, read: str | None) -> None:
    found = case_id({"ticket": given}, "ticket")

    assert found == read if read else isinstance(found, Fault) and found.name == "ticket"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (1, 1), (5, 5), (4.0, 4), ("3", 3), (" 3 ", 3), ("٣", 3),
        (0, None), (6, None), (3.5, None), (float("nan"), None), (True, None), ("", None), ("²", None), ("-1", None), ("3.0", None),
        ("0" * 20 + "3", None), (None, None), ([3], None),
    ],
)  # fmt: skip
def test_a_score_is_a_whole_number_of_its_scale(given: Any, read: int | None) -> None:
    found = score({"score": given}, "score", (1, 5))

    assert found == read if read else isinstance(found, Fault) and found.name == "score"


def absence(first: int, last: int | None, **said: Any) -> Any:
    days = {"from": date_of(first).isoformat(), "to": None if last is None else date_of(last).isoformat()}
    return planned_absence({**days, "scope": "account", **said}, has_user=False, today=100)


def test_an_absence_has_a_day_at_least_and_so_many_at_most() -> None:
    most = MAX_ABSENT_DAYS

    assert absence(100, 100) == PlannedAbsence(100, 100, of_account=True)
    assert absence(100, 100 + most - 1) == PlannedAbsence(100, 100 + most - 1, of_account=True)
    assert [each.name for each in absence(100, 99)] == ["to"]
    assert [each.name for each in absence(100, 100 + most)] == ["to"]


def test_an_absence_begins_no_more_than_so_many_days_ahead() -> None:
    last = 100 + MAX_DAYS_AHEAD

    assert absence(last, last) == PlannedAbsence(last, last, of_account=True)
    assert [each.name for each in absence(last + 1, last + 1)] == ["from"]
    assert [each.name for each in absence(last + 1, None, withdrawn=True)] == ["from"]


def test_an_absence_that_is_taken_back_needs_no_end_and_only_true_takes_it_back() -> None:
    assert absence(100, None, withdrawn=True) == PlannedAbsence(100, WITHDRAWN, of_account=True)
    assert absence(100, 101, withdrawn="true") == PlannedAbsence(100, 101, of_account=True)
    assert [each.name for each in absence(100, None, withdrawn="true")] == ["to"]


def test_all_that_is_wrong_with_an_absence_is_told_at_once() -> None:
    found = planned_absence({"scope": "person"}, has_user=False, today=None)

    assert isinstance(found, list)
    assert [each.name for each in found] == ["scope", "from", "to"]
