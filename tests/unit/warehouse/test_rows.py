"""Records as rows: what a column takes, and what it takes in the place of nonsense that would stop a batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.measures import MEASURES, USUAL_RISK
from services.warehouse.domain.rows import EARLIEST_MS, LATEST_MS, Misplaced, Place, columns, row

PLACE = Place("account-health", 3, 7, 1_800_000_000_000)


@pytest.fixture(scope="module")
def red(project_root: Path) -> dict[str, Any]:
    """Return a snapshot of an account at risk."""
    return dict(json.loads((project_root / "schemas/account_health/examples/red.json").read_text()))


def told(value: Mapping[str, Any], record: str = "account_health", place: Place = PLACE) -> dict[str, Any]:
    made = row(place, record, value)
    assert made is not None
    return dict(zip(columns("account_health"), made, strict=True))


def test_a_snapshot_tells_in_columns_what_lists_are_sorted_and_filtered_by(red: dict[str, Any]) -> None:
    numbers = [MEASURES["silent_days"].number, 900]
    found = told(
        {
            **red,
            "measures": {"numbers": numbers, "values": [12.9, 1.5]},
            "dates": {"last_activity": 20_000},
            "facts": {**red["facts"], "name": None, "owner": "mia"},
        }
    )

    assert (found["topic"], found["partition"], found["offset"], found["appended_at"]) == PLACE
    assert (found["silent_days"], found["last_active_day"]) == (12, 20_000)
    assert (found["name"], found["owner"], found["revenue"]) == ("", "mia", red["facts"]["revenue"])
    body = msgspec.json.decode(found["body"])
    assert body["measures"] == {"silent_days": 12.9, "measure_900": 1.5}
    assert {part["measure"] for part in body["risk_parts"] if not part["number"]} <= {USUAL_RISK}
    assert [part["measure"] in MEASURES for part in body["parts"]] == [True] * len(red["parts"])


@pytest.mark.parametrize(("value", "days"), [(-1.0, -1), (0.9, 0), (1e6, 1_000_000), (1e7, -1), (float("nan"), -1)])
def test_days_that_are_no_number_of_days_are_not_known(red: dict[str, Any], value: float, days: int) -> None:
    measures = {"numbers": [MEASURES["silent_days"].number], "values": [value]}

    assert told({**red, "measures": measures})["silent_days"] == days


def test_what_a_snapshot_does_not_say_is_not_known(red: dict[str, Any]) -> None:
    found = told({**red, "measures": {"numbers": [], "values": []}, "dates": {}})

    assert (found["silent_days"], found["last_active_day"]) == (-1, -1)


@pytest.mark.parametrize("revenue", [float("inf"), float("nan")])
def test_a_revenue_by_which_nothing_can_be_sorted_is_none(red: dict[str, Any], revenue: float) -> None:
    assert told({**red, "facts": {**red["facts"], "revenue": revenue}})["revenue"] is None


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        (EARLIEST_MS - 1, EARLIEST_MS),
        (EARLIEST_MS, EARLIEST_MS),
        (0, 0),
        (LATEST_MS, LATEST_MS),
        (LATEST_MS + 1, LATEST_MS),
        (2**63 - 1, LATEST_MS),
    ],
)
def test_a_time_that_the_store_cannot_hold_is_the_nearest_that_it_can(at: int, kept: int) -> None:
    found = told({"account": "acme", "at": at, "historical": False}, "account_forgotten")

    assert (found["at"], found["reason"], found["body"]) == (kept, "FORGOTTEN", "")


def test_a_control_record_makes_no_row_and_a_record_on_the_topic_of_another_table_is_refused() -> None:
    usage = PLACE._replace(topic="usage-events")

    assert row(usage, "tick", {}) is None
    with pytest.raises(Misplaced, match="account_forgotten do not belong on usage-events"):
        row(usage, "account_forgotten", {"account": "acme", "at": 1, "historical": False})
