"""Who works with the product week after week, and who of them has stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.scorer.domain.accounts.absences import Absences

REGULAR_WEEKS, OF_WEEKS, BEFORE = 10, 12, 2
"""A regular was active in so many of so many weeks; the latest ones, in which they may be gone already, are not asked."""
OWN_WEEKS = BEFORE + OF_WEEKS
"""Weeks of its own time below which an account has no regulars."""
MISSED = 7
"""Working days of the account that a regular has missed to count as gone. A leave of nine days with its weekends is shorter."""
_RECENT_WEEKS = 4
_RECENT = 7 * _RECENT_WEEKS
_WORKING, _SOME = 0.5, 0.2
"""A weekday is a working day from this share of the busiest one on; a day is no holiday from that share of a usual one on."""


class Regulars(NamedTuple):
    """The regulars of an account, some of whom are gone."""

    people: int
    gone: int
    """Those of them who missed the account's last seven working days or more, but for planned absences."""


def regulars(
    days: npt.NDArray[np.uint8], seen: npt.NDArray[np.bool_], known: Sequence[int], absences: Absences | None, day: int
) -> Regulars | None:
    """
    Return how many regulars there are and how many of them are gone; None: nobody is gone.

    Args:
        days: Who was active on which of the days up to `day`: people by days, oldest first.
        seen: The same by weeks, the latest first.
        known: The number of each person.
        absences: Planned ones.
        day: The last closed day.
    """
    steady = seen[:, BEFORE:OWN_WEEKS].sum(axis=1) >= REGULAR_WEEKS
    missing = np.flatnonzero(steady & ~seen[:, 0])
    if not missing.size:
        return None
    active = days[:, -7 * OWN_WEEKS :].sum(axis=0).reshape(OWN_WEEKS, 7)
    usual = active[:OF_WEEKS].sum(axis=0) / OF_WEEKS
    some = active[-_RECENT_WEEKS:] >= _SOME * usual
    worked = ((usual >= _WORKING * usual.max()) & some).ravel()
    recent = days[:, -_RECENT:]
    there = recent[missing]
    if absences:
        rows = {known[index]: row for row, index in enumerate(missing.tolist())}
        for (person, first), (last, _) in absences.items():
            if (row := rows.get(person)) is not None:
                there[row, max(0, first - day + _RECENT - 1) : max(0, last - day + _RECENT)] = 1
    since = np.maximum.accumulate(there[:, ::-1], axis=1) == 0  # latest first: true until the person was there
    gone = int(np.count_nonzero((since & worked[::-1]).sum(axis=1) >= MISSED))
    return Regulars(int(np.count_nonzero(steady)), gone) if gone else None
