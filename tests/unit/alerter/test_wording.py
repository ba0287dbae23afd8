"""Values in the texts of signals: rounded as people say them, and never past what a rule compares them with."""

from typing import Any

import pytest

from schemas.measures import Unit
from services.alerter.domain.wording import Phrases, date_words, fill, placeholders_in, word
from tests.support.alerter import play

SLOW: dict[str, Any] = {"level_2w": 0.6, "level_1w": 0.6, "chance_low_4w": 0.02}


@pytest.mark.parametrize(("level", "told"), [(0.474, "47 %"), (0.496, "49.6 %"), (0.4996, "49.96 %")])
def test_a_share_that_is_below_a_limit_is_not_told_as_the_limit(level: float, told: str) -> None:
    signal = play([{**SLOW, "level_4w": level}] * 4)[0]

    assert signal["summary"].startswith(f"Use is at {told} of this account's usual level")


def test_a_share_that_is_above_a_limit_is_not_told_as_the_limit() -> None:
    signals = play([{**SLOW, "level_4w": 0.4}] * 4 + [{"level_4w": 0.752}] * 15)

    assert signals[-1]["transition"] == "RESOLVED"
    assert signals[-1]["summary"].startswith("Use is back at 75.2 % of")


def test_a_score_that_is_below_a_limit_is_not_told_as_the_limit() -> None:
    near: dict[str, Any] = {"facts__renewal_day": 20_030, "renewal_in_days": 30, "renewal_window_days": 60}
    signals = play([{**near, "score_tenths": 496, "band": "YELLOW"}] * 3)

    assert "health is at 49.6 of 100" in signals[0]["summary"]


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0.302, Unit.SHARE, "30 %"),
        (0.0042, Unit.CHANCE, "0.4 %"),
        (1.0, Unit.PEOPLE, "1 person"),
        (2.52, Unit.PEOPLE, "2.5 people"),
        (-0.02, Unit.COUNT, "0"),
        (12_345.6, Unit.COUNT, "12,346"),
        (9.96, Unit.COUNT, "10"),
        (9.94, Unit.POINTS, "9.9"),
        (0.04, Unit.PEOPLE, "0 people"),
        (1.0, Unit.FLAG, "yes"),
        (0.0, Unit.FLAG, "no"),
        (1.0, Unit.DAYS, "1 day"),
        (0.96, Unit.DAYS, "1 day"),
        (1.94, Unit.DAYS, "1.9 days"),
        (2.97, Unit.DAYS, "3 days"),
        (3.9, Unit.DAYS, "3 days"),
        (0.0, Unit.DAYS, "0 days"),
        (1.4, Unit.HOURS, "1 hour"),
        (71.4, Unit.HOURS, "71 hours"),
        (71.6, Unit.HOURS, "3 days"),
        (95.0, Unit.HOURS, "3 days"),
        (None, Unit.COUNT, "unknown"),
    ],
)
def test_a_value_that_nothing_is_compared_with_is_rounded_as_people_say_it(
    value: float | None, unit: Unit, told: str
) -> None:
    assert word(value, unit) == told


def test_a_day_is_written_out_and_one_that_no_calendar_has_is_told_by_its_number() -> None:
    assert [date_words(day) for day in (0, 21_243, 2_932_896)] == [
        "1 January 1970",
        "29 February 2028",
        "31 December 9999",
    ]
    assert date_words(2_932_897) == "day 2932897"


@pytest.mark.parametrize(
    ("facts", "dates", "told"),
    [
        (
            {"name": "Acme", "owner": "mia", "plan": "pro", "renewal_day": 20_030},
            {"last_activity": 20_000},
            "Acme, mia, pro, 3 November 2024, 4 October 2024",
        ),
        (
            {"name": None, "owner": None, "plan": None, "renewal_day": None},
            {},
            "acme, unknown, unknown, unknown, unknown",
        ),
    ],
)
def test_what_an_account_is_called_by_and_what_is_not_known_of_it(
    facts: dict[str, Any], dates: dict[str, int], told: str
) -> None:
    given = {"account": "acme", "facts": facts, "dates": dates, "lowest_user": ""}
    template = "{account_name}, {owner}, {plan}, {renewal_date}, {last_active_date}"

    assert fill(template, Phrases(given, {}, "", ())) == told
    assert fill("{lowest_user}: {other_risks}", Phrases(given, {}, "", ())) == "someone: none"
    named = Phrases({**given, "lowest_user": "u_ann"}, {}, "use declines", ())
    assert fill("{lowest_user}: {other_risks}", named) == "u_ann: use declines"


def test_a_measure_that_counts_what_has_names_is_told_with_them() -> None:
    given = {"counted": {"roles_gone": ["admin", "editor"]}}
    phrases = Phrases(given, {"roles_gone": 2.0, "features_dropped": 0.0}, "", ())

    assert fill("Roles: {roles_gone}; features: {features_dropped}", phrases) == "Roles: 2 (admin, editor); features: 0"


def test_only_names_stand_in_the_braces_of_a_template() -> None:
    assert placeholders_in("{{no}} {level_4w} of {owner}, {owner}") == {"level_4w", "owner"}
    for wrong in ("{level_4w:.2f}", "{owner!r}", "{0}", "{}", "{owner.name}", "{owner"):
        with pytest.raises(ValueError, match="braces|expected"):
            placeholders_in(wrong)
