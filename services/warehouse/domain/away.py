"""Whether an account is away today, so that less use than usual is no sign of anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HELD_BELOW = 0.75
"""The share of a week that holidays leave, under which usage signals are held (docs/signals.md)."""


def why(snapshot: Mapping[str, Any] | None, today: int) -> str | None:
    """
    Return why an account is away: `absence` by plan, or `holidays`; None: it is not, as far as is known.

    Args:
        snapshot: The latest one; None: there is none.
        today: Days since 1970 UTC.

    Holidays are those of the public that the last week had: absences, and leave of single people, lower the share too. What
    an older snapshot than yesterday's says of them is over.
    """
    if snapshot is None:
        return None
    first, last = (snapshot["dates"].get(name) for name in ("absent_from", "absent_until"))
    if first is not None and last is not None and first <= today <= last:
        return "absence"
    measures = snapshot["measures"]
    held = measures.get("calendar_level", 1.0) < HELD_BELOW and measures.get("public_holidays_7", 0.0) > 0
    return "holidays" if held and snapshot["day"] >= today - 1 else None
