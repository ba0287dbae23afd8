"""Snapshots of account health for tests of rules: a healthy, steady account, with what the test is about changed."""

from __future__ import annotations

from typing import Any

from services.shared.units import DAY_MS, HOUR_MS

START_DAY = 20_000
"""4 October 2024: far from any dip."""


def snapshot(day: int = 0, account: str = "acme", *, hour: float = 0.0, **changes: Any) -> dict[str, Any]:
    """
    Make the snapshot of one day's close.

    Args:
        day: Days after START_DAY; the snapshot's `at` is that day's end, plus `hour`.
        account: Its id.
        hour: Hours of log time after the day's end.
        changes: Members of the snapshot. Members of its parts go by `usage__silent_days=3`, those of the windows by
            `level_4w=0.4`, `expected_4w=40.0`, `chance_low_4w=0.001`.
    """
    windows = {weeks: _window(weeks, changes) for weeks in (1, 2, 4)}
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
        "measures": [],
        "usage": {
            "first_day": last - 300,
            "last_active_day": last,
            "silent_days": 0,
            "active_days_7": 5,
            "gap_p90_days": 1,
            "baseline_weeks": 30,
            "fleet_ppm": 1_000_000,
            "usual_week": 10.0,
            "windows": [windows[weeks] for weeks in (1, 2, 4)],
            "events_7": 100,
            "events_28": 400,
            "active_users_7": 4,
            "active_users_28": 5,
            "active_users_28_usual": 5.0,
            "first_value_day": last - 280,
            "value_days_28": 16,
            "value_proven": True,
        },
        "support": {"open": 0, "oldest_opened_at": 0, "median_age_hours": 0.0, "opened_28": 0, "closed_28": 0},
        "sentiment": {
            "responses": 0,
            "latest_score": -1,
            "latest_at": 0,
            "detractors_90": 0,
            "lowest_score_90": -1,
            "lowest_user_90": "",
        },
        "facts": dict.fromkeys(
            ("name", "owner", "revenue", "seats", "plan", "contract_start_day", "renewal_day", "parent")
        ),
        "model_version": "test",
    }
    for name, change in changes.items():
        part, _, member = name.partition("__")
        if member:
            value[part][member] = change
        else:
            value[part] = change
    return value


def _window(weeks: int, changes: dict[str, Any]) -> dict[str, Any]:
    expected = changes.pop(f"expected_{weeks}w", 10.0 * weeks)
    level = changes.pop(f"level_{weeks}w", 1.0)
    surprising = 0.0001 if level < 1 else 0.5
    return {
        "weeks": weeks,
        "active_user_days": max(0, round(level * (expected + 0.5) - 0.5)),
        "expected": expected,
        "ratio": level,
        "p_low": changes.pop(f"chance_low_{weeks}w", surprising),
        "p_high": changes.pop(f"chance_high_{weeks}w", 0.0001 if level > 1 else 0.5),
    }


def silent(days: int) -> dict[str, Any]:
    """Return the changes that make an account silent for so many days."""
    return {
        "usage__silent_days": days,
        "usage__active_days_7": max(0, 5 - days),
        "level_1w": max(0.05, 1 - days / 7),
        "level_2w": max(0.02, 1 - days / 14),
        "level_4w": max(0.01, 1 - days / 28),
    }
