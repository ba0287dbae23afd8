"""What the rules on tickets, survey answers, renewals, seats and growth do over the days of one account."""

from __future__ import annotations

from typing import Any

from services.shared.units import DAY_MS
from tests.support.alerter import START_DAY, play, silent, told


def tickets(opened_day: int, count: int = 3, median_hours: float = 80.0) -> dict[str, Any]:
    return {
        "tickets_open": count,
        "oldest_opened_at": (START_DAY + opened_day) * DAY_MS,
        "median_ticket_hours": median_hours,
    }


def test_stuck_tickets_fire_rise_when_use_declines_too_and_clear_when_they_are_closed() -> None:
    declining = {"level_4w": 0.65}

    signals = play(
        [tickets(-1, median_hours=20.0)] * 2 + [tickets(-1)] * 2 + [{**tickets(-1), **declining}] * 2 + [{**declining}]
    )

    assert told(signals) == [
        (3, "tickets_stuck", "FIRING", "WARNING"),
        (4, "tickets_stuck", "UPDATED", "CRITICAL"),
        (6, "tickets_stuck", "RESOLVED", "recovered"),
    ]
    assert "3 support tickets are open" in signals[0]["summary"]
    assert signals[1]["title"] == "Support tickets are stuck, and use is declining"


def test_many_tickets_that_are_closed_fast_do_not_fire() -> None:
    assert play([tickets(n, count=12, median_hours=10.0) for n in range(20)]) == []


def test_a_low_survey_answer_fires_at_once_and_clears_with_a_better_one() -> None:
    low = {
        "detractors": 1,
        "lowest_answer": 3,
        "lowest_user": "kim@acme.example",
        "survey_responses": 2,
        "reason": "URGENT",
        "trigger_received_at": 5,
    }

    signals = play([{}, low, low, {}])

    assert told(signals) == [(1, "nps_detractor", "FIRING", "WARNING"), (3, "nps_detractor", "RESOLVED", "recovered")]
    assert signals[0]["summary"].startswith("kim@acme.example answered 3 out of 10.")
    assert signals[0]["trigger_received_at"] == 5


def test_poor_health_near_the_renewal_fires_and_clears_once_it_has_passed() -> None:
    renewal = {"facts__renewal_day": START_DAY + 93, "score_tenths": 450, "band": "RED"}

    signals = play([renewal] * 97)

    assert told(signals) == [
        (3, "renewal_at_risk", "FIRING", "CRITICAL"),
        (93, "renewal_at_risk", "RESOLVED", "recovered"),
    ]


def test_something_critical_that_is_open_puts_a_renewal_at_risk_however_good_health_is() -> None:
    renewal = {"facts__renewal_day": START_DAY + 60}

    signals = play([{**renewal, **silent(n)} for n in range(24)])

    mine = [s for s in signals if s["rule"] == "renewal_at_risk"]
    assert told(mine) == [(22, "renewal_at_risk", "FIRING", "CRITICAL")]
    assert "Open risks: nobody has been active for weeks." in mine[0]["summary"]  # the title that it has when critical


def test_a_term_of_a_month_has_its_renewal_near_for_a_week() -> None:
    monthly = {
        "facts__renewal_day": START_DAY + 30,
        "facts__contract_start_day": START_DAY,
        "score_tenths": 300,
        "band": "RED",
    }

    assert told(play([monthly] * 25)) == [(23, "renewal_at_risk", "FIRING", "CRITICAL")]


def test_health_that_is_still_unknown_puts_no_renewal_at_risk() -> None:
    assert play([{"facts__renewal_day": START_DAY + 60, "score_tenths": 0, "band": "LEARNING"}] * 5) == []


def test_seats_that_are_used_up_fire_for_a_proven_customer_and_rise() -> None:
    nearly = {"facts__seats": 6, "active_users_28": 5}
    full = {"facts__seats": 5, "active_users_28": 5}

    signals = play([nearly] * 16 + [full] * 2 + [{"facts__seats": 20}])

    assert told(signals) == [
        (14, "seat_saturation", "FIRING", "INFO"),
        (16, "seat_saturation", "UPDATED", "WARNING"),
        (18, "seat_saturation", "RESOLVED", "recovered"),
    ]
    assert {s["category"] for s in signals} == {"EXPANSION"}


def test_growth_fires_for_a_proven_customer_only() -> None:
    growth = {"level_4w": 1.8, "level_1w": 1.8, "active_users_28": 8}

    assert told(play([growth] * 16)) == [(14, "usage_growth", "FIRING", "INFO")]
    assert play([{**growth, "value_proven": False}] * 20) == []
    assert play([{**growth, "stage": "ONBOARDING"}] * 20) == []
    assert play([{**growth, "fleet_level": 1.4}] * 20) == []


def test_an_open_risk_keeps_expansion_back_and_ends_what_is_open_of_it() -> None:
    growth = {"level_4w": 1.8, "level_1w": 1.8, "active_users_28": 8}
    low = {"detractors": 1, "lowest_answer": 2, "survey_responses": 1}

    assert [entry[1] for entry in told(play([{**growth, **low}] * 20))] == ["nps_detractor"]
    assert told(play([growth] * 15 + [{**growth, **low}]))[1:] == [
        (15, "nps_detractor", "FIRING", "WARNING"),
        (15, "usage_growth", "RESOLVED", "inhibited"),
    ]
