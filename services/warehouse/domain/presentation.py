"""
What the store holds, as the query API says it.

Dates and times are ISO 8601, scores are points with one decimal, measures have their labels. The units of the log
(milliseconds, days since 1970, tenths of a point) end here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from schemas.measures import MEASURES, SILENCE_CAP, USUAL_RISK
from services.shared.units import DAY_MS, written_time
from services.warehouse.domain.rows import instant
from services.warehouse.domain.weeks import Line

Found = Mapping[str, Any]
Told = dict[str, Any]

_NEVER = -1

PREDICTED = {
    "COLLAPSE": "use in the next 12 weeks comes to 35 % of the usual level or less",
    "LOSS": "the account is lost in the next 12 weeks",
}
"""What a fitted risk is the chance of, in words; without a fit nothing is."""

NO_RISK: Found = {"risk_thousandths": None, "risk_predicts": ""}
"""What stands for the risk of an account without a snapshot."""

_NO_MEASURES = {SILENCE_CAP: "Cap on a silent account", USUAL_RISK: "A usual account"}


def time_of(milliseconds: int) -> str:
    """Return a time, milliseconds since 1970 UTC, as `2026-03-31T12:00:00.000Z`."""
    return written_time(instant(milliseconds), "milliseconds")


@lru_cache(maxsize=4096)  # a list has the same few days thousands of times
def date_of(day: int | None) -> str | None:
    """Return a day since 1970 UTC as `2026-03-31`; None and -1, which stand for never, are None."""
    return None if day is None or day == _NEVER else time_of(day * DAY_MS)[:10]


def points_of(tenths: int | None) -> float | None:
    """Return tenths of a point as points."""
    return None if tenths is None else tenths / 10


def account(found: Found, open_signals: Iterable[Found] = (), risk_tenth: int | None = None) -> Told:
    """Return one account of a list, with how many of its signals are open, and its tenth by risk."""
    return {
        **{name: found[name] for name in ("account", "name", "owner", "revenue", "seats", "stage", "band", "coverage")},
        "score": points_of(found["score_tenths"]),
        "previous_score": points_of(found["previous_score_tenths"]),
        "risk_tenth": risk_tenth,
        **risk_chance(found),
        "silent_days": None if found["silent_days"] == _NEVER else found["silent_days"],
        "last_active": date_of(found["last_active_day"]),
        "renewal_date": date_of(found["renewal_day"]),
        "sequence": found["sequence"],
        "day": date_of(found["day"]),
        "at": time_of(found["at"]),
        "open_signals": _counted(open_signals),
    }


def _counted(open_signals: Iterable[Found]) -> dict[str, int]:
    """Return how many signals are open: risks by their severity, and chances."""
    found = {"critical": 0, "warning": 0, "info": 0, "expansion": 0}
    for each in open_signals:
        name = "expansion" if each["category"] == "EXPANSION" else each["severity"].lower()
        if name in found:
            found[name] += each["signals"]
    return found


def line(days: Iterable[int], states: Line) -> list[Told | None]:
    """Return what was known at the ends of weeks; None: nothing."""
    return [
        state and {"day": date_of(day), "score": points_of(state.score_tenths), "band": state.band}
        for day, state in zip(days, states, strict=True)
    ]


def change(before: Found, now: Found, why: Iterable[Found]) -> Told:
    """Return what an account was the day before, what it is now, and the parts that moved it."""
    return {
        **{name: now[name] for name in ("account", "name", "owner", "revenue")},
        "from": {"score": points_of(before["score_tenths"]), "band": before["band"]},
        "to": {"score": points_of(now["score_tenths"]), "band": now["band"]},
        "why": [_part(part) for part in why],
    }


def person(found: Found, state: str) -> Told:
    """Return a person of an account."""
    return {
        "user": found["user"],
        "first_active": date_of(found["first_active_day"]),
        "last_active": date_of(found["last_active_day"]),
        "active_days": found["active_days"],
        "active_days_28": found["active_days_28"],
        "state": state,
    }


def arrival(found: Found) -> Told:
    """Return how many events came in during an hour."""
    names = ("name", "source", "environment", "kind", "events")
    return {"hour": time_of(found["hour"]), **{name: found[name] for name in names}}


def arrived(found: Found) -> Told:
    """Return an event that has just come in."""
    names = ("account", "user", "source", "environment", "kind", "name", "historical")
    at = {name: time_of(found[name]) for name in ("occurred_at", "received_at")}
    return {**{name: found[name] for name in names}, **at}


def health(snapshot: Found) -> Told:
    """Return one snapshot whole."""
    facts = dict(snapshot["facts"])
    facts["contract_start"] = date_of(facts.pop("contract_start_day"))
    facts["renewal_date"] = date_of(facts.pop("renewal_day"))
    return {
        **{
            name: snapshot[name]
            for name in ("account", "sequence", "reason", "historical", "stage", "band", "coverage")
        },
        "at": time_of(snapshot["at"]),
        "day": date_of(snapshot["day"]),
        "triggered_at": time_of(snapshot["trigger_received_at"]) if snapshot["trigger_received_at"] else None,
        "score": points_of(snapshot["score_tenths"]),
        "previous_score": points_of(snapshot["previous_score_tenths"]),
        "measures": [{**_words(name), "value": value} for name, value in snapshot["measures"].items()],
        "parts": [_part(part) for part in snapshot["parts"]],
        "risk": _risk(snapshot),
        "dates": {name: date_of(day) for name, day in snapshot["dates"].items()},
        "counted": snapshot["counted"],
        "lowest_user": snapshot["lowest_user"],
        "facts": facts,
        "model_version": snapshot["model_version"],
    }


def history_point(snapshot: Found) -> Told:
    """Return one day of the short history that comes with an account."""
    shown = ("active_users_7", "active_users_28", "events_7", "silent_days")
    return {
        "day": date_of(snapshot["day"]),
        "at": time_of(snapshot["at"]),
        "band": snapshot["band"],
        "stage": snapshot["stage"],
        "score": points_of(snapshot["score_tenths"]),
        **{name: snapshot["measures"].get(name) for name in shown},
    }


def activity(found: Found) -> Told:
    """Return what happened on one day."""
    return {**found, "day": date_of(found["day"])}


def event(found: Found, beyond: Found | None) -> Told:
    """Return one event, with what is still kept beyond the long log."""
    told = {**found, "occurred_at": time_of(found["occurred_at"]), "received_at": time_of(found["received_at"])}
    told["properties"] = _merged(found["properties"], beyond["properties"] if beyond else "{}")
    told["user_id"] = beyond["user_id"] if beyond else ""
    told["anonymous_id"] = beyond["anonymous_id"] if beyond else ""
    told["extra"] = beyond["extra"] if beyond else "{}"
    return told


def _merged(one: str, other: str) -> str:
    """Return the JSON text of two objects as one."""
    if one == "{}" or other == "{}":
        return other if one == "{}" else one
    return f"{one.rstrip()[:-1]},{other.lstrip()[1:]}"


def signal(found: Found) -> Told:
    """Return one signal."""
    told = {
        name: value
        for name, value in found.items()
        if name not in ("renewal_day", "score_tenths", "trigger_received_at")
    }
    return {
        **told,
        "episode_started_at": time_of(found["episode_started_at"]),
        "at": time_of(found["at"]),
        "triggered_at": time_of(found["trigger_received_at"]) if found["trigger_received_at"] else None,
        "evidence": [{**_words(item["name"]), **_without_name(item)} for item in found["evidence"]],
        "renewal_date": date_of(found["renewal_day"]),
        "score": points_of(found["score_tenths"]),
    }


def _without_name(item: Found) -> Told:
    return {name: value for name, value in item.items() if name != "name"}


def _part(part: Found) -> Told:
    return {
        **_words(part["measure"]),
        "score": part["score"],
        "weight": part["weight"],
        "points": points_of(part["contribution_tenths"]),
        "change": points_of(part["change_tenths"]),
    }


def risk_chance(found: Found) -> Told:
    """Return the chance of what a fitted model predicts, in per cent, and what that is; None where risk is a rank alone."""
    log_odds, predicts = found["risk_thousandths"], found["risk_predicts"]
    if log_odds is None or predicts not in PREDICTED:
        return {"risk_percent": None, "risk_predicts": None}
    return {"risk_percent": round(100 / (1 + math.exp(-log_odds / 1000)), 1), "risk_predicts": PREDICTED[predicts]}


def _risk(snapshot: Found) -> Told | None:
    if snapshot["risk_thousandths"] is None:
        return None
    return {
        "log_odds": snapshot["risk_thousandths"] / 1000,
        **risk_chance(snapshot),
        "parts": [
            {**_words(part["measure"]), "log_odds": part["thousandths"] / 1000} for part in snapshot["risk_parts"]
        ],
    }


def _words(name: str) -> Told:
    record = MEASURES.get(name)
    if record is not None:
        return {"name": name, "label": record.label, "dimension": record.dimension, "unit": record.unit.value}
    label = _NO_MEASURES.get(name) or name.replace("_", " ").capitalize()
    return {"name": name, "label": label, "dimension": "", "unit": "count"}


def measure(name: str) -> Told:
    """Return the record of one measure, for those who show them."""
    record = MEASURES[name]
    return {
        **_words(name),
        "meaning": record.meaning,
        "window_days": record.window_days,
        "fresh_days": record.fresh_days,
        "polarity": record.polarity,
        "evidence": record.evidence,
        "needs": record.needs,
    }
