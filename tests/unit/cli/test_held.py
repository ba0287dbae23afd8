"""Which accounts are held by their own calendars or programs, and what people read of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from schemas.measures import numbered
from services.alerter.rule_files import load_rules
from services.cli.held import ALL, held_of

RULES = load_rules()
QUIET = {"level_4w": 0.2, "chance_low_4w": 0.001, "expected_4w": 40.0, "age_days": 200.0, "learning": 0.0}


def snapshot(measures: dict[str, float], dates: dict[str, int] | None = None) -> dict[str, Any]:
    facts = {"name": "Acme"}
    return {
        "account": "acme", "facts": facts, "dates": dates or {}, "band": "GREEN", "score_tenths": 800, "measures": numbered(dict(measures)),
    }  # fmt: skip


def test_an_account_without_a_calendar_or_in_an_ordinary_week_is_not_held() -> None:
    assert held_of(RULES, snapshot(QUIET)) is None
    assert held_of(RULES, snapshot({**QUIET, "calendar_level": 0.75})) is None


@pytest.mark.parametrize(
    ("dates", "measures", "why"),
    [
        ({"absent_from": 20_000, "absent_until": 20_013}, {"calendar_level": 0.0}, "away by plan from 2024-10-04 to 2024-10-17"),
        ({}, {"calendar_level": 0.5, "public_holidays_7": 2.0}, "2 public holidays in the last seven days: 50% of a usual week is left"),
        ({}, {"calendar_level": 0.4, "public_holidays_7": 0.0}, "back from a planned absence, or people are away: 40% of a usual week is left"),
        ({}, {"calendar_level": 0.748, "public_holidays_7": 0.0}, "back from a planned absence, or people are away: 74.8% of a usual week is left"),
    ],
)  # fmt: skip
def test_it_says_why(dates: dict[str, int], measures: dict[str, float], why: str) -> None:
    found = held_of(RULES, snapshot(measures, dates))

    assert found is not None
    assert found.why == why
    assert {"usage_silent", "usage_decline", "usage_decline_fast", "active_users_falling"} <= set(found.rules)
    assert "tickets_stuck" not in found.rules
    assert found.would_fire == ()


def test_a_dip_of_all_customers_is_told_where_it_is_asked_for() -> None:
    dip = snapshot({**QUIET, "fleet_level": 0.5})
    found = held_of(RULES, dip, ALL)

    assert found is not None
    assert found.why == "all customers are at 50% of their usual level"
    assert "usage_decline" in found.rules
    assert held_of(RULES, dip) is None


def test_what_holds_is_what_the_rules_in_force_say() -> None:
    """Not a level that the tool would have of its own."""
    usual = snapshot({**QUIET, "fleet_level": 0.7})
    never = replace(RULES, ordered=tuple(replace(rule, hold=()) for rule in RULES.ordered))

    assert held_of(RULES, usual, ALL) is not None
    assert held_of(never, usual, ALL) is None


def test_it_names_the_rules_whose_conditions_hold_nevertheless() -> None:
    found = held_of(RULES, snapshot({**QUIET, "calendar_level": 0.2}))

    assert found is not None
    assert found.would_fire == ("usage_decline",)


def test_an_account_that_works_through_programs_is_held_too() -> None:
    found = held_of(RULES, snapshot({**QUIET, "calendar_level": 1.0, "taken_over_4w": 0.62}))

    assert found is not None
    assert (
        found.why
        == "at work through programs: in four weeks 0.6 user-days more of theirs for each that people did less"
    )
    assert {"usage_decline", "usage_decline_fast", "active_users_falling", "regulars_gone"} == set(found.rules)
    assert found.would_fire == ("usage_decline",)
    assert held_of(RULES, snapshot({**QUIET, "taken_over_4w": 0.05})) is None
