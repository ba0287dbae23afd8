"""
What a lane remembers of the folds that raised, from one restore to the next: the remedies that its runner applies.

A remedy takes effect at the same record and step whatever the cuts, so that the same log gives the same outputs.
"""

from __future__ import annotations

from dataclasses import replace

from services.shared.engine.errors import FoldRaised, TooManyRaises
from services.shared.engine.fold.failure_policy import (
    FoldCarefully,
    Patience,
    RaiseHistory,
    SetApart,
    SkipRecord,
    StopLane,
    decide,
)


class Raises:
    """The raising folds of one lane."""

    def __init__(self, where: str, patience: Patience) -> None:
        self.records: dict[int, SkipRecord] = {}
        """By offset, the records that are dead-lettered, with the steps before the one that raised."""
        self.faults: dict[int, list[SetApart]] = {}
        """The keys at fault, by the offset of the record whose fold raised."""
        self.careful_until = -1
        """The offset up to which changes are gathered after each record."""
        self._where = where
        self._patience = patience
        self._history = RaiseHistory()
        self._folded = -1

    def blame(self, error: FoldRaised, now: float, *, folded: int, reached: int, quarantines: bool) -> None:
        """
        Note a raise that calls for a restore; see `decide` for what it takes.

        Raises:
            TooManyRaises: a restore would not help.
        """
        remedy, self._history = decide(
            error, self._history, self._patience,
            now=now, folded=max(folded, self._folded), reached=reached, quarantines=quarantines,
        )  # fmt: skip
        self.careful_until = -1
        match remedy:
            case SkipRecord(offset=offset):
                self.records[offset] = remedy
            case SetApart(offset=offset):
                self.faults.setdefault(offset, []).append(remedy)
            case FoldCarefully(until=until):
                self.careful_until = until
            case StopLane(detail=detail):
                raise TooManyRaises(f"{self._where}: {detail}")

    def gathered(self, folded: int) -> None:
        """Note that all changes up to a record have been gathered: whatever raised and was not named lies before it."""
        self._folded = max(folded, self._folded)
        if self._history.unnamed:
            self._history = replace(self._history, unnamed=0)

    def restored(self, offset: int) -> None:
        """Forget what lies before the offset at which a restored lane goes on: it is durable."""
        self.records = {at: raised for at, raised in self.records.items() if at >= offset}
        self.faults = {at: faults for at, faults in self.faults.items() if at >= offset}
