"""
Counters by day: 256 days of several counts, one byte a day while all counts of a ring fit one, then two.

A day's cell is cleared when the ring first moves past it, so an account that sleeps costs nothing. A count that
does not fit two bytes is kept beside the ring, and its cell holds an escape.
"""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

SPAN = 256
"""Days that a ring remembers, the newest included."""
_MASK = SPAN - 1
_ESCAPE = 0xFFFF
NARROW, WIDE = "B", "H"
"""Type codes of a ring's cells: one byte, two bytes."""

EVENTS, ACTIVE = range(2)
"""The places of the two counts that every account has: activity events, active user-days. The plan's come after them."""

Days = npt.NDArray[np.int64]


def _empty(typecode: str) -> array[int]:
    return array(typecode, bytes(SPAN * array(typecode).itemsize))


class DailyCounts:
    """The daily counts of one account, one ring a name. A ring that never counted anything takes no memory."""

    __slots__ = ("counts", "large", "through")

    def __init__(self, through: int, names: int) -> None:
        """Start with nothing, for so many names, cleared up to the day `through`."""
        self.through = through
        self.counts: list[array[int] | None] = [None] * names
        self.large: dict[tuple[int, int], int] | None = None

    def advance(self, day: int) -> None:
        """Make room for `day`: forget what is 256 days older. A day already reached changes nothing."""
        gap = day - self.through
        if gap <= 0:
            return
        for ring in self.counts:
            if ring is None:
                continue
            if gap >= SPAN:
                ring[:] = _empty(ring.typecode)
            else:
                for passed in range(self.through + 1, day + 1):
                    ring[passed & _MASK] = 0
        self.through = day
        if self.large:
            self.large = {key: n for key, n in self.large.items() if key[1] > day - SPAN} or None

    def add(self, place: int, day: int, count: int) -> None:
        """
        Add to one day, which may be past but not forgotten.

        Raises:
            ValueError: the day is older than the ring reaches.
        """
        if count == 0:
            return
        if day > self.through:
            self.advance(day)
        elif day <= self.through - SPAN:
            raise ValueError(f"day {day} is more than {SPAN} days before {self.through}")
        ring = self.counts[place]
        if ring is None:
            ring = self.counts[place] = _empty(NARROW)
        cell = day & _MASK
        total = self._at(ring, place, day) + count
        if total > 0xFF and ring.typecode == NARROW:
            ring = self.counts[place] = array(WIDE, ring)
        if total < _ESCAPE:
            ring[cell] = total
            return
        ring[cell] = _ESCAPE
        if self.large is None:
            self.large = {}
        self.large[(place, day)] = total

    def get(self, place: int, day: int) -> int:
        """Return the count of one day; 0 outside the ring's reach."""
        ring = self.counts[place]
        if ring is None or not self.through - SPAN < day <= self.through:
            return 0
        return self._at(ring, place, day)

    def history(self, place: int, end: int) -> Days | None:
        """Return the counts of the 256 days up to and including `end`, oldest first; None: nothing was ever counted."""
        ring = self.counts[place]
        if ring is None:
            return None
        cells = np.frombuffer(ring, ring.typecode)
        start = (end + 1) & _MASK
        days = np.concatenate((cells[start:], cells[:start])).astype(np.int64)
        ahead = end - self.through
        if ahead > 0:
            days[max(0, SPAN - ahead) :] = 0
        elif ahead < 0:
            days[:-ahead] = 0
        if self.large:
            for (kind, day), count in self.large.items():
                if kind == place and end - SPAN < day <= end:
                    days[SPAN - 1 - (end - day)] = count
        return days

    def _at(self, ring: array[int], place: int, day: int) -> int:
        count = ring[day & _MASK]
        if count == _ESCAPE and self.large is not None:
            return self.large[(place, day)]
        return count
