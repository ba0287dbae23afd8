"""The presence of a person in an account: whether they have come, stay, are quiet, or have left."""

from __future__ import annotations

RECENT_DAYS = 28
"""The window in which use counts as present, as in the measures of four weeks."""
QUIET_DAYS = 14
"""Longer than a week of leave; people of an account that has been silent for so long are all quiet."""
LEFT_DAYS = 2 * RECENT_DAYS


def state(first_active: int, last_active: int, today: int) -> str:
    """
    Return how a person stands on a day; days are days since 1970.

    `left`: not active for eight weeks. `quiet`: not for two. `joined`: active for the first time within four weeks.
    """
    silent = today - last_active
    if silent >= LEFT_DAYS:
        return "left"
    if silent >= QUIET_DAYS:
        return "quiet"
    return "joined" if today - first_active < RECENT_DAYS else "active"
