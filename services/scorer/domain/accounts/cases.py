"""
Things that open and close: the support tickets of one account, its invoices, and the like.

Per case the latest opening and the latest closing are kept, so records in any order lead to the same state. A case is
open while it was opened after it was last closed. Closed ones are remembered for a while, because an opening may come
in after its closing.
"""

from __future__ import annotations

from services.shared.units import DAY_MS

MAX_CASES = 500
"""Per account and sort. Beyond that the oldest closed one is forgotten; if all are open, the new one is left out, counted."""
REMEMBER_CLOSED_MS = 35 * DAY_MS

Cases = dict[str, tuple[int, int]]
"""Id of a case to the times of its latest opening and closing, milliseconds since 1970 UTC, 0: none seen."""


def note(cases: Cases, case: str, opened_at: int, closed_at: int) -> bool:
    """Take in an opening or a closing (the other 0); return False if the cap leaves it out."""
    known = cases.get(case)
    if known is None:
        if len(cases) >= MAX_CASES and not _forget_one(cases):
            return False
        known = (0, 0)
    cases[case] = (max(known[0], opened_at), max(known[1], closed_at))
    return True


def is_open(times: tuple[int, int]) -> bool:
    """Return whether a case with these times is open."""
    return times[0] > times[1]


def open_since(cases: Cases) -> list[int]:
    """Return when each open case was opened, oldest first."""
    return sorted(times[0] for times in cases.values() if is_open(times))


def forget_closed(cases: Cases, now_ms: int) -> bool:
    """Drop cases that were closed long ago; return whether there were any."""
    gone = [case for case, times in cases.items() if not is_open(times) and times[1] < now_ms - REMEMBER_CLOSED_MS]
    for case in gone:
        del cases[case]
    return bool(gone)


def _forget_one(cases: Cases) -> bool:
    closed = [(times[1], case) for case, times in cases.items() if not is_open(times)]
    if not closed:
        return False
    del cases[min(closed)[1]]
    return True
