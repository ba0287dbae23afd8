"""
The named values that rules may use: a flat view of one account-health snapshot.

A value is a float, or None where it is not known (no seats on record, too little history for a score). A condition
on an unknown value never holds, so that what is missing can neither fire nor clear a signal by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from services.alerter.domain.durations import DAY_MS

Measures = dict[str, float | None]

LEARNING_WEEKS = 8
"""Weeks of own history below which an account has no usual level to fall from."""

_YEARLY_WINDOW_DAYS = 90.0
_MONTHLY_WINDOW_DAYS = 7.0
_MONTHLY_TERM_DAYS = 45


class Unit(Enum):
    """How a value is written for people."""

    SHARE = "share"
    COUNT = "count"
    PEOPLE = "people"
    DAYS = "days"
    HOURS = "hours"
    POINTS = "points"
    FLAG = "flag"
    CHANCE = "chance"


@dataclass(frozen=True, slots=True)
class Definition:
    """One value that rules may use."""

    unit: Unit
    meaning: str


_WINDOWS = {1: "one week", 2: "two weeks", 4: "four weeks"}


def _usage_definitions() -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    for weeks, words in _WINDOWS.items():
        found[f"user_days_{weeks}w"] = Definition(Unit.COUNT, f"Active people, summed over the days of {words}.")
        found[f"expected_{weeks}w"] = Definition(Unit.COUNT, f"Person-days to be expected in {words}.")
        found[f"level_{weeks}w"] = Definition(Unit.SHARE, f"Person-days of {words} against the expected ones.")
        found[f"chance_low_{weeks}w"] = Definition(Unit.CHANCE, f"Chance of so little in {words}, had nothing changed.")
        found[f"chance_high_{weeks}w"] = Definition(Unit.CHANCE, f"Chance of so much in {words}, had nothing changed.")
    return found


MEASURES: dict[str, Definition] = {
    "score": Definition(Unit.POINTS, "Health, 0 to 100; unknown while the account is learning."),
    "learning": Definition(Unit.FLAG, f"1 under {LEARNING_WEEKS} weeks of own history."),
    "onboarding": Definition(Unit.FLAG, "1 in the onboarding stage."),
    "age_days": Definition(Unit.DAYS, "Days since the first activity."),
    "baseline_weeks": Definition(Unit.COUNT, "Weeks of own history that the usual level rests on."),
    "usual_week": Definition(Unit.COUNT, "Person-days of a usual week."),
    "fleet_level": Definition(Unit.SHARE, "Activity of all customers against their usual one."),
    "silent_days": Definition(Unit.DAYS, "Closed days since anyone was active."),
    "silence_limit_days": Definition(Unit.DAYS, "Seven days, or three times the account's own long pauses if more."),
    "active_days_7": Definition(Unit.DAYS, "Days with activity among the last seven."),
    **_usage_definitions(),
    "events_7": Definition(Unit.COUNT, "Events of seven days."),
    "events_28": Definition(Unit.COUNT, "Events of 28 days."),
    "active_users_7": Definition(Unit.PEOPLE, "People active in seven days."),
    "active_users_28": Definition(Unit.PEOPLE, "People active in 28 days."),
    "active_users_28_usual": Definition(Unit.PEOPLE, "The same, median of the 30 weeks before."),
    "active_users_28_expected": Definition(
        Unit.PEOPLE, "The usual number, less where holidays keep all customers away."
    ),
    "people_level": Definition(Unit.SHARE, "People active in 28 days against the expected number."),
    "people_lost": Definition(Unit.PEOPLE, "The expected number of people less that of the last 28 days."),
    "value_proven": Definition(Unit.FLAG, "1 where the customer reaches what he pays for, week after week."),
    "value_days_28": Definition(Unit.DAYS, "Days of the last 28 with something of value reached."),
    "tickets_open": Definition(Unit.COUNT, "Open support tickets."),
    "oldest_ticket_days": Definition(Unit.DAYS, "Age of the oldest open ticket."),
    "median_ticket_hours": Definition(Unit.HOURS, "Median age of the open tickets."),
    "tickets_opened_28": Definition(Unit.COUNT, "Tickets opened in 28 days."),
    "tickets_closed_28": Definition(Unit.COUNT, "Tickets closed in 28 days."),
    "survey_people": Definition(Unit.COUNT, "People with a survey answer in the last 180 days."),
    "detractors": Definition(Unit.COUNT, "People whose latest answer is 0 to 6 and at most 90 days old."),
    "lowest_answer": Definition(Unit.POINTS, "Lowest of those answers, 0 to 10."),
    "seats": Definition(Unit.COUNT, "Seats bought."),
    "seat_use": Definition(Unit.SHARE, "People active in 28 days against seats bought."),
    "revenue": Definition(Unit.COUNT, "Revenue of a year."),
    "renewal_in_days": Definition(Unit.DAYS, "Days until the renewal; negative once it has passed."),
    "renewal_window_days": Definition(Unit.DAYS, "90, or 7 for terms of a month: when the renewal is near."),
    "open_risks": Definition(
        Unit.COUNT, "Other risk signals of the account that are open, informational ones left out."
    ),
    "open_critical": Definition(Unit.COUNT, "Other critical risk signals of the account that are open."),
}

OPEN_MEASURES = frozenset({"open_risks", "open_critical"})
"""Not in the snapshot: what the account's other rules say. Rules that use them are judged after the others."""


def measures_of(snapshot: Mapping[str, Any]) -> Measures:
    """Flatten one snapshot (a decoded AccountHealth) into every measure but OPEN_MEASURES."""
    values: Measures = dict.fromkeys(MEASURES)
    _health(values, snapshot)
    _usage(values, snapshot["usage"], snapshot["day"])
    _support(values, snapshot["support"], snapshot["at"])
    _sentiment(values, snapshot["sentiment"])
    _facts(values, snapshot["facts"], snapshot["at"])
    return values


def _health(values: Measures, snapshot: Mapping[str, Any]) -> None:
    band = snapshot["band"]
    learning = band == "LEARNING" or snapshot["usage"]["baseline_weeks"] < LEARNING_WEEKS
    values["learning"] = float(learning)
    values["onboarding"] = float(snapshot["stage"] == "ONBOARDING")
    if band in {"RED", "YELLOW", "GREEN"}:
        values["score"] = snapshot["score_tenths"] / 10


def _usage(values: Measures, usage: Mapping[str, Any], day: int) -> None:
    values["baseline_weeks"] = float(usage["baseline_weeks"])
    values["usual_week"] = usage["usual_week"]
    values["fleet_level"] = usage["fleet_ppm"] / 1_000_000
    values["active_days_7"] = float(usage["active_days_7"])
    values["silence_limit_days"] = float(max(7, 3 * usage["gap_p90_days"]))
    if usage["silent_days"] >= 0:
        values["silent_days"] = float(usage["silent_days"])
    if usage["first_day"] >= 0:
        values["age_days"] = float(day - usage["first_day"])
    for window in usage["windows"]:
        weeks = window["weeks"]
        if weeks not in _WINDOWS:
            continue
        values[f"user_days_{weeks}w"] = float(window["active_user_days"])
        values[f"expected_{weeks}w"] = window["expected"]
        values[f"level_{weeks}w"] = window["ratio"]
        values[f"chance_low_{weeks}w"] = window["p_low"]
        values[f"chance_high_{weeks}w"] = window["p_high"]
    values["events_7"] = float(usage["events_7"])
    values["events_28"] = float(usage["events_28"])
    people, usual = usage["active_users_28"], usage["active_users_28_usual"]
    values["active_users_7"] = float(usage["active_users_7"])
    values["active_users_28"] = float(people)
    values["active_users_28_usual"] = usual
    expected = usual * _season(values)
    if expected > 0:
        values["active_users_28_expected"] = expected
        values["people_level"] = people / expected
        values["people_lost"] = expected - people
    values["value_proven"] = float(usage["value_proven"])
    values["value_days_28"] = float(usage["value_days_28"])


def _season(values: Measures) -> float:
    """Return what holidays of all customers leave of four usual weeks, at most 1; it is in the person-days expected."""
    expected, usual = values["expected_4w"], values["usual_week"]
    share = expected / usual / 4 if expected and usual else 1.0
    return share if 0 < share < 1 else 1.0


def _support(values: Measures, support: Mapping[str, Any], at: int) -> None:
    values["tickets_open"] = float(support["open"])
    values["tickets_opened_28"] = float(support["opened_28"])
    values["tickets_closed_28"] = float(support["closed_28"])
    if support["open"] > 0:
        values["oldest_ticket_days"] = max(0.0, (at - support["oldest_opened_at"]) / DAY_MS)
        values["median_ticket_hours"] = support["median_age_hours"]


def _sentiment(values: Measures, sentiment: Mapping[str, Any]) -> None:
    values["survey_people"] = float(sentiment["responses"])
    values["detractors"] = float(sentiment["detractors_90"])
    if sentiment["lowest_score_90"] >= 0:
        values["lowest_answer"] = float(sentiment["lowest_score_90"])


def _facts(values: Measures, facts: Mapping[str, Any], at: int) -> None:
    seats, renewal, start = facts["seats"], facts["renewal_day"], facts["contract_start_day"]
    values["revenue"] = facts["revenue"]
    if seats is not None and seats > 0:
        people = values["active_users_28"]
        values["seats"] = float(seats)
        values["seat_use"] = None if people is None else people / seats
    if renewal is not None:
        monthly = start is not None and 0 < renewal - start <= _MONTHLY_TERM_DAYS
        values["renewal_in_days"] = float(renewal - at // DAY_MS)
        values["renewal_window_days"] = _MONTHLY_WINDOW_DAYS if monthly else _YEARLY_WINDOW_DAYS
