"""
What a lane remembers of the folds that raised, from one restore to the next: whom to blame, and when it is too much.

A raise leaves the processor in an unknown state, so the lane is restored and folds again. This time the record at fault is
dead-lettered; or, where the processor named a key of its state (`KeyFault`), that key is set apart just before the record and
the step at which it raised, and the record is folded. Both happen at the same place whatever the cuts, so that the same
log gives the same outputs.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from services.shared.engine.errors import FoldRaised, TooManyRaises
from services.shared.errors import KeyFault


class Raised(NamedTuple):
    """What is known of a record whose fold raised: the steps that went well before, and the exception."""

    step: int
    detail: str


class Fault(NamedTuple):
    """A key of the processor's state that could not be worked on in a step of a record, and why."""

    step: int
    key: str
    detail: str


class Raises:
    """The raising folds of one lane. Used by the Kafka lane and the in-memory runner alike."""

    def __init__(self, where: str, in_a_row: int, restores: int, within: float) -> None:
        """Stop after so many raising records in a row, or so many restores within a span of `blame`'s clock."""
        self.records: dict[int, Raised] = {}
        """By offset, those that are dead-lettered unfolded."""
        self.faults: dict[int, list[Fault]] = {}
        """By the offset whose fold they made raise."""
        self._where = where
        self._most_in_a_row = in_a_row
        self._most_restores = restores
        self._within = within
        self._in_a_row = 0
        self._unnamed = 0
        self._restored: deque[float] = deque()

    def blame(self, error: FoldRaised, now: float, *, keys: bool) -> None:
        """
        Note a raise that calls for a restore; `keys` says whether the processor can set a key apart.

        Raises:
            TooManyRaises: a restore would not help.
        """
        cause = error.cause
        if error.offset is None:
            self._unnamed += 1
        elif keys and isinstance(cause, KeyFault):
            self.faults.setdefault(error.offset, []).append(Fault(error.step, cause.key, cause.detail))
            self._unnamed = 0
        else:
            self.records[error.offset] = Raised(error.step, f"{type(cause).__name__}: {cause}")
            self._in_a_row += 1
            self._unnamed = 0
        many = max(self._in_a_row, self._unnamed)
        if many >= self._most_in_a_row:
            raise TooManyRaises(f"{self._where}: {many} folds in a row raised, last: {error}")
        self._restored.append(now)
        while self._restored[0] < now - self._within:
            self._restored.popleft()
        if len(self._restored) > self._most_restores:
            raise TooManyRaises(
                f"{self._where}: the lane would be restored for the {len(self._restored)}th time in a while, last: {error}"
            )

    def folded(self, offset: int) -> None:
        """Note the last record that was folded without a raise: one behind all that raised ends their row."""
        if self._in_a_row and offset > max(self.records, default=-1):
            self._in_a_row = 0

    def committed(self) -> None:
        """Note a commit: whatever could not be named lies behind."""
        self._unnamed = 0

    def restored(self, offset: int) -> None:
        """Forget what lies before the offset at which a restored lane goes on: it is durable."""
        self.records = {at: raised for at, raised in self.records.items() if at >= offset}
        self.faults = {at: faults for at, faults in self.faults.items() if at >= offset}
