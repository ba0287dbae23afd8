"""Which events come too late to be counted."""

from __future__ import annotations

from services.scorer.domain.accounts.active_users import WEEKS

MOST_DAYS = 7 * (WEEKS - 2)
"""An event counts if it happened at most so many days before log time: 238, which are 34 weeks."""


def oldest_day(today: int) -> int:
    """Return the first day that an event of a lane may have happened on, days since 1970."""
    return max(0, today - MOST_DAYS)
