"""Snapshots of account health for tests of rules: a healthy, steady account, with what the test is about changed; and their fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from schemas.measures import MEASURES, numbered
from services.alerter.domain.folding import fold_snapshot
from services.alerter.domain.rules import RuleSet
from services.alerter.rule_files import SHIPPED_RULES, load_rules
from services.shared.units import DAY_MS, HOUR_MS

RULES = load_rules()
"""The rules as they are shipped."""

START_DAY = 20_000
"""4 October 2024: far from any dip."""
_FACTS = ("name", "owner", "revenue", "seats", "plan", "contract_start_day", "renewal_day", "parent")
_STEADY: dict[str, float | None] = {
    "fleet_level": 1,
    "usual_week": 10,
    "baseline_weeks": 30,
    "silent_days": 0,
    "silence_limit_days": 7,
    "active_days_7": 5,
    "events_7": 100,
    "events_28": 400,
    "active_users_7": 4,
    "active_users_28": 5,
    "active_users_28_usual": 5,
    "days_per_person": 2,
    "value_days_28": 16,
    "value_proven": 1,
    "tickets_open": 0,
    "tickets_opened_28": 0,
    "tickets_closed_28": 0,
    "survey_responses": 0,
    "detractors": 0,
}


def snapshot(day: int = 0, account: str = "acme", *, hour: float = 0.0, **changes: Any) -> dict[str, Any]:
    """
    Make the snapshot of one day's close.

    Args:
        day: Days after START_DAY; the snapshot's `at` is that day's end, plus `hour`.
        account: Its id.
        hour: Hours of log time after the day's end.
        changes: Measures by name (None: not known), facts by `facts__seats=3`, and members of the snapshot. What
            follows from others (`seat_use`, `active_users_level`) is worked out where it is not given; so is
            `oldest_ticket_days` from `oldest_opened_at`, milliseconds since 1970 UTC.
    """
    last = START_DAY + day
    value: dict[str, Any] = {
        "account": account,
        "sequence": 1 + max(0, day),
        "at": (last + 1) * DAY_MS + round(hour * HOUR_MS) + 1_000,
        "day": last,
        "reason": "DAY_CLOSE",
        "historical": False,
        "trigger_received_at": 0,
        "stage": "ONGOING",
        "band": "GREEN",
        "score_tenths": 900,
        "previous_score_tenths": 900,
        "coverage": 1.0,
        "parts": [],
        "dates": {"first_activity": last - 300, "last_activity": last, "first_value": last - 280},
        "counted": {},
        "lowest_user": "",
        "facts": dict.fromkeys(_FACTS),
        "model_version": "test",
    }
    values = dict(_STEADY)
    opened_at = changes.pop("oldest_opened_at", None)
    if opened_at is not None:
        values["oldest_ticket_days"] = (value["at"] - opened_at) / DAY_MS
    for name, change in changes.items():
        if name.startswith("facts__"):
            value["facts"][name.removeprefix("facts__")] = change
        elif name in MEASURES and MEASURES[name].number:
            values[name] = change
        else:
            value[name] = change
    value["measures"] = numbered(_known(values, value))
    return value


def _known(values: dict[str, float | None], snapshot: dict[str, Any]) -> dict[str, float]:
    """Return the values with what follows from them, as far as there is evidence for each."""
    followed = {**_windows(values), **_people(values, snapshot["facts"]), **_dated(snapshot), **values}
    followed.setdefault("learning", float((values["baseline_weeks"] or 0) < 8))
    followed.setdefault("onboarding", float(snapshot["stage"] == "ONBOARDING"))
    known = {name: float(value) for name, value in followed.items() if value is not None}
    return {
        name: known[name]
        for name, record in MEASURES.items()
        if name in known and all(known.get(other, least - 1) >= least for other, least in record.evidence.items())
    }


def _windows(values: dict[str, float | None]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for weeks in (1, 2, 4):
        expected, level = values.get(f"expected_{weeks}w") or 10.0 * weeks, values.get(f"level_{weeks}w", 1.0) or 0.0
        found[f"expected_{weeks}w"] = expected
        found[f"level_{weeks}w"] = level
        found[f"user_days_{weeks}w"] = max(0, round(level * (expected + 0.5) - 0.5))
        found[f"chance_low_{weeks}w"] = 0.0001 if level < 1 else 0.5
        found[f"chance_high_{weeks}w"] = 0.0001 if level > 1 else 0.5
    return found


def _people(values: dict[str, float | None], facts: dict[str, Any]) -> dict[str, float | None]:
    people, usual = values["active_users_28"] or 0, values["active_users_28_usual"] or 0
    expected = values.get("active_users_28_expected", usual) or 0
    found: dict[str, float | None] = {"seats": facts["seats"], "revenue": facts["revenue"]}
    if expected > 0:
        found |= {
            "active_users_28_expected": expected,
            "active_users_level": people / expected,
            "active_users_lost": expected - people,
        }
    if facts["seats"]:
        found["seat_use"] = people / facts["seats"]
    return found


def _dated(snapshot: dict[str, Any]) -> dict[str, float | None]:
    facts, dates = snapshot["facts"], snapshot["dates"]
    renewal, start = facts["renewal_day"], facts["contract_start_day"]
    found: dict[str, float | None] = {}
    if "first_activity" in dates:
        found["age_days"] = snapshot["day"] - dates["first_activity"]
    if renewal is not None:
        found["renewal_in_days"] = renewal - snapshot["at"] // DAY_MS
        found["renewal_window_days"] = 7 if start is not None and 0 < renewal - start <= 45 else 90
    return found


def silent(days: int) -> dict[str, Any]:
    """Return the changes that make an account silent for so many days."""
    return {
        "silent_days": days,
        "expected_in_silence": 10 * days / 7,
        "active_days_7": max(0, 5 - days),
        "level_1w": max(0.05, 1 - days / 7),
        "level_2w": max(0.02, 1 - days / 14),
        "level_4w": max(0.01, 1 - days / 28),
    }


def play(days: Iterable[Mapping[str, Any]], rules: RuleSet = RULES) -> list[dict[str, Any]]:
    """Fold a day's snapshot for each set of changes; return all signals."""
    state: bytes | None = None
    signals: list[dict[str, Any]] = []
    for day, changes in enumerate(days):
        folded = fold_snapshot(rules, state, snapshot(day, **changes))
        state = folded.state
        signals += folded.signals
    return signals


def told(signals: Iterable[Mapping[str, Any]]) -> list[tuple[int, str, str, str]]:
    """Say of each signal the day after the start on which it came, and what it is."""
    return [
        (s["at"] // DAY_MS - START_DAY - 1, s["rule"], s["transition"], s["resolved_reason"] or s["severity"])
        for s in signals
    ]


def shipped(rule_id: str) -> dict[str, Any]:
    """Return the file of a rule as it is shipped."""
    data: dict[str, Any] = yaml.safe_load((SHIPPED_RULES / f"{rule_id}.yaml").read_text("utf-8"))
    return data
