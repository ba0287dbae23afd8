"""The questions that people bring to an account, answered from what is known: is it a holiday, and who left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.console.account.past import Past

HELD_BELOW = 0.75
"""The level under which usage signals are held (docs/signals.md)."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Whether less use than usual has a harmless reason."""

    verdict: str
    """
    `away`, `holidays`, `leave` (a planned absence is just over, or people are on leave), `fleet`, `no`, `holidays_unknown`
    where holidays cannot be told, or `unknown`.
    """
    until: str | None
    """Last day of a planned absence."""
    holidays: int | None
    """Public holidays in the last week; None: the account's country is not known."""
    calendar: float | None
    fleet: float | None


def rest(past: Past) -> Rest:
    """Return whether the account rests on its latest day."""
    day = past.latest
    if day is None:
        return Rest("unknown", None, None, None, None)
    dates = day.told["dates"]
    fleet, calendar = day.value("fleet_level"), day.value("calendar_level")
    holidays = day.value("public_holidays_7")
    begins, ends = dates.get("absent_from"), dates.get("absent_until")
    today = past.last.isoformat()
    if begins and ends and begins <= today <= ends:
        verdict = "away"
    elif calendar is not None and calendar < HELD_BELOW:
        verdict = "holidays" if holidays else "leave"
    elif fleet is not None and fleet < HELD_BELOW:
        verdict = "fleet"
    else:
        verdict = "unknown" if fleet is None else "no" if holidays is not None else "holidays_unknown"
    until = ends if verdict == "away" else None
    return Rest(verdict, until, None if holidays is None else int(holidays), calendar, fleet)


def silent_since(past: Past, people: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the last day on which anyone was active, once the account is silent for longer than it may be; else None."""
    day = past.latest
    if day is None:
        return None
    silent, limit = day.value("silent_days"), day.value("silence_limit_days")
    since: str | None = day.told["dates"].get("last_activity")
    if since is None or silent is None or limit is None or silent <= limit:
        return None
    # Events are told before the snapshot that counts them.
    return None if any(each["last_active"] > since for each in people) else since


STATES = ("left", "quiet", "joined", "active")
"""How people stand, those first who tell most."""


def by_state(people: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return people in the order in which they tell something: who left, who is quiet, who joined, who is there."""
    return sorted(people, key=lambda each: (STATES.index(each["state"]), -each["active_days"], each["user"]))
