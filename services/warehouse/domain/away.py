"""Whether an account is away today, so that less use than usual is no sign of anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HELD_BELOW = 0.75
"""The share of a week that holidays leave, under which usage signals are held (docs/signals.md)."""


_LEVEL, _HOLIDAYS = "calendar_level", "public_holidays_7"
FACTS = ("day", "absent_from", "absent_until", _LEVEL, _HOLIDAYS)
"""What a snapshot says of being away."""


def facts_of(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Return the FACTS of a snapshot; None: it does not say it."""
    known = {**snapshot["dates"], **snapshot["measures"], "day": snapshot["day"]}
    return {name: known.get(name) for name in FACTS}


def why(facts: Mapping[str, Any] | None, today: int) -> str | None:
    """
    Return why an account is away: `absence` by plan, or `holidays`; None: it is not, as far as is known.

    Args:
        facts: What the latest snapshot says, see FACTS; None: there is none.
        today: Days since 1970 UTC.

    Holidays are those of the public that the last week had: absences, and leave of single people, lower the share too. What
    an older snapshot than yesterday's says of them is over.
    """
    if facts is None:
        return None
    first, last = facts["absent_from"], facts["absent_until"]
    if first is not None and last is not None and first <= today <= last:
        return "absence"
    level, holidays = facts[_LEVEL], facts[_HOLIDAYS]
    held = level is not None and level < HELD_BELOW and holidays is not None and holidays > 0
    return "holidays" if held and facts["day"] >= today - 1 else None
