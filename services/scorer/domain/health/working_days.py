"""The working days that an account has missed."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from services.scorer.domain.accounts.daily_counts import SPAN, Days

WEEKS = 12
CAME = 9
"""A weekday is a working day of an account if somebody came on it in so many of the twelve weeks before the silence."""
TEAM = 3
"""More people than these are a team: hardly ever are all of them on leave at once."""
MISSED = 5
"""
Working days missed that are a sign of a team, and as many as the account has in a week if these are more. Of fewer people it
takes one more, as a week of leave has no more than a week's, whatever day it begins on.
"""
_BEFORE = 7 * WEEKS


def missed_after(active: Days, silent: int, own_days: int, off: Collection[int], people: float) -> int | None:
    """
    Return the silent days before the last of so many working days missed; None: the account has not missed so many.

    Where its days do not reach back to twelve weeks of its own before the silence, this is not known: None as well.

    Args:
        active: Active user-days of the days up to the last closed one, oldest first.
        silent: Closed days since the last active one, days off included.
        own_days: The account's own days, the silent ones included.
        off: Which of the silent days were off, 1 for the first; they count neither as working days nor as silent.
        people: How many are usually active in four weeks.
    """
    if not MISSED <= silent <= SPAN - _BEFORE or own_days - silent < _BEFORE:
        return None
    came = np.count_nonzero(active[-_BEFORE - silent :][:_BEFORE].reshape(WEEKS, 7), axis=0)
    working = came >= CAME
    worked = working[np.arange(silent) % 7]
    if off:
        worked[[day - 1 for day in off if day <= silent]] = False
    missed = np.flatnonzero(worked)
    enough = max(MISSED, int(np.count_nonzero(working))) + (people <= TEAM)
    if missed.size < enough:
        return None
    before = int(missed[enough - 1])
    return before - sum(day <= before for day in off)
