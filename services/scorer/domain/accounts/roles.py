"""
The roles of people: what an identify event said of each last, such as admin or viewer.

Made only where the tracking plan declares roles, and kept apart from who was active when: an identify event comes before
the first activity, and often. Sixteen bytes a person: the hash of the user id, and the time and the role in one number.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from services.scorer.domain.accounts.daily_counts import SPAN
from services.shared.units import DAY_MS, HOUR_MS

MAX_IDENTIFIED = 10_000
"""People per account. Of one more the role is left out, counted."""
UNKNOWN, OTHER = 0, 31
"""Codes beside those of the declared roles: nothing is said of the person, or a role that is not declared."""
_BITS = 5


def role_code(role: object, places: Mapping[str, int]) -> int:
    """
    Return the code of a role as it was sent: its place and one; null is `UNKNOWN`.

    Raises:
        TypeError: it is no text.
    """
    if role is None:
        return UNKNOWN
    if not isinstance(role, str):
        raise TypeError("send the role as text")
    place = places.get(role.strip().lower())
    return OTHER if place is None else place + 1


class Roles:
    """The roles of one account's people."""

    __slots__ = ("known", "said")

    def __init__(self) -> None:
        """Start with nobody."""
        self.known: array[int] = array("Q")
        self.said: array[int] = array("Q")
        """For each of `known`: milliseconds since 1970 UTC, and in the last five bits the code of the role."""

    def note(self, person: int, code: int, at: int) -> bool | None:
        """
        Take in a role unless a newer one is known; return whether it is news, None if the cap leaves it out.

        The same role within an hour is none: clients say it with each page. So what was said in between, if it comes
        late and contradicts, holds.
        """
        said = at << _BITS | code
        index = bisect_left(self.known, person)
        if index < len(self.known) and self.known[index] == person:
            known = self.said[index]
            if said <= known or (code == known & (1 << _BITS) - 1 and at - (known >> _BITS) < HOUR_MS):
                return False
            self.said[index] = said
            return True
        if len(self.known) >= MAX_IDENTIFIED:
            return None
        self.known.insert(index, person)
        self.said.insert(index, said)
        return True

    def merge(self, person: int, into: int) -> bool:
        """Make one person of two: the later role holds; return whether anything was said of the first."""
        index = bisect_left(self.known, person)
        if index == len(self.known) or self.known[index] != person:
            return False
        self.known.pop(index)
        said = self.said.pop(index)
        to = bisect_left(self.known, into)
        if to < len(self.known) and self.known[to] == into:
            self.said[to] = max(self.said[to], said)
        else:
            self.known.insert(to, into)
            self.said.insert(to, said)
        return True

    def of(self, people: array[int]) -> npt.NDArray[np.uint8]:
        """Return the codes of people given by their sorted hashes."""
        wanted, known = np.frombuffer(people, np.uint64), np.frombuffer(self.known, np.uint64)
        codes = (np.frombuffer(self.said, np.uint64) & np.uint64((1 << _BITS) - 1)).astype(np.uint8)
        found = np.full(wanted.size, UNKNOWN, np.uint8)
        named = np.isin(wanted, known)
        found[named] = codes[np.searchsorted(known, wanted[named])]
        return found

    def forget_idle(self, active: array[int], now_ms: int) -> bool:
        """Drop whoever is not among the active and was not mentioned for 256 days; return whether there was anybody."""
        known, said = np.frombuffer(self.known, np.uint64), np.frombuffer(self.said, np.uint64)
        kept = (said >> np.uint64(_BITS) >= np.uint64(max(0, now_ms - SPAN * DAY_MS))) | np.isin(
            known, np.frombuffer(active, np.uint64)
        )
        if kept.all():
            return False
        self.known, self.said = array("Q", known[kept].tobytes()), array("Q", said[kept].tobytes())
        return True

    def renumber(self, codes: Mapping[int, int]) -> None:
        """Give roles the codes that they have under another plan; what that does not declare is another role."""
        mask = (1 << _BITS) - 1
        for index, said in enumerate(self.said):
            self.said[index] = said & ~mask | codes.get(said & mask, OTHER)
