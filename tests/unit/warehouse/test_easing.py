"""Whether what an open signal rests on has come back."""

from __future__ import annotations

import pytest

from schemas.measures import MEASURES
from services.warehouse.domain.easing import stands


def signal(value: float | None, usual: float | None, category: str = "RISK") -> dict[str, object]:
    return {"category": category, "evidence": [{"name": "user_days_4w", "value": value, "usual": usual}]}


@pytest.mark.parametrize(
    ("value", "usual", "now", "eased"),
    [
        (10.0, 60.0, 34.0, False),
        (10.0, 60.0, 35.0, True),
        (70.0, 60.0, 60.0, False),
        (10.0, 60.0, None, False),
        (10.0, None, 60.0, False),
        (None, 60.0, 60.0, False),
        (60.0, 60.0, 60.0, False),
    ],
)
def test_a_risk_has_eased_half_of_the_way_back(
    value: float | None, usual: float | None, now: float | None, eased: bool
) -> None:
    found = stands(signal(value, usual), {} if now is None else {"user_days_4w": now})

    assert found["eased"] is eased
    assert found["evidence"][0]["now"] == now


def test_the_first_measure_that_was_worse_than_usual_tells_and_one_that_is_neither_good_nor_bad_does_not() -> None:
    neutral, worse = (
        {"name": "fleet_level", "value": 0.5, "usual": 1.0},
        {"name": "user_days_4w", "value": 10.0, "usual": 60.0},
    )
    both: dict[str, object] = {"category": "RISK", "evidence": [neutral, worse]}

    assert MEASURES["fleet_level"].polarity == "neutral"
    assert not stands(both, {"fleet_level": 1.0, "user_days_4w": 10.0})["eased"]
    assert stands(both, {"fleet_level": 0.5, "user_days_4w": 60.0})["eased"]


def test_what_is_usual_moves_with_the_account() -> None:
    known = {"user_days_4w": 33.0, "expected_4w": 86.9}
    of_a_rule_without, unknown = signal(45.0, None), {"user_days_4w": 33.0}

    assert stands(signal(45.0, 99.3), known)["evidence"][0]["usual_now"] == 86.9
    assert stands(signal(45.0, 99.3), unknown)["evidence"][0]["usual_now"] == 99.3
    assert stands(of_a_rule_without, known)["evidence"][0]["usual_now"] is None


def test_a_chance_never_eases() -> None:
    assert not stands(signal(10.0, 60.0, "EXPANSION"), {"user_days_4w": 60.0})["eased"]


def test_a_silence_has_eased_once_it_is_over() -> None:
    silent = {"category": "RISK", "evidence": [{"name": "silent_days", "value": 30.0, "usual": 9.0}]}

    assert [stands(silent, {"silent_days": days})["eased"] for days in (40.0, 20.0, 0.0)] == [False, False, True]


def test_a_silence_that_was_judged_early_has_eased_too_once_it_is_over() -> None:
    silent = {"category": "RISK", "evidence": [{"name": "silent_days", "value": 8.0, "usual": 7.0}]}

    assert stands(silent, {"silent_days": 0.0, "silence_limit_days": 9.0})["eased"]
