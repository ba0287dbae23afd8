"""The order in which sweeps go through the accounts of a lane: spread evenly by a hash, the same after a recovery."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from xxhash import xxh64_intdigest

from services.scorer.domain.lane.clock import SLICES

_LAST = "\U0010ffff"


def slice_of(name: str) -> int:
    """Return the slice of every sweep in which an account's turn comes."""
    return xxh64_intdigest(name.encode()) % SLICES


class SweepOrder:
    """The accounts' names by slice and name. New ones are sorted in when the order is next asked for."""

    __slots__ = ("_gone", "_new", "_sorted")

    def __init__(self) -> None:
        """Start empty."""
        self._sorted: list[tuple[int, str]] = []
        self._new: list[tuple[int, str]] = []
        self._gone: set[str] = set()

    def add(self, name: str) -> None:
        """Add an account."""
        if name in self._gone:
            self._merge()
        self._new.append((slice_of(name), name))

    def remove(self, name: str) -> None:
        """Take an account out."""
        self._gone.add(name)

    def after(self, cursor: str, slices: int) -> Iterator[str]:
        """Yield the names behind `cursor` (empty: from the start) within the first `slices` slices."""
        self._merge()
        order = self._sorted
        at = bisect_right(order, (slice_of(cursor), cursor)) if cursor else 0
        end = bisect_right(order, (slices - 1, _LAST))
        for index in range(at, end):
            yield order[index][1]

    def next_slice(self, cursor: str) -> int | None:
        """Return the slice of the first name behind `cursor`; None: there is none."""
        self._merge()
        at = bisect_right(self._sorted, (slice_of(cursor), cursor)) if cursor else 0
        return self._sorted[at][0] if at < len(self._sorted) else None

    def _merge(self) -> None:
        if self._gone:
            self._sorted = [entry for entry in self._sorted if entry[1] not in self._gone]
            self._new = [entry for entry in self._new if entry[1] not in self._gone]
            self._gone = set()
        if self._new:
            self._sorted += self._new  # two sorted runs or nearly: the sort merges them
            self._sorted.sort()
            self._new = []
