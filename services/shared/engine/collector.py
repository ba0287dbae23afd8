"""
Python's cyclic garbage collector, kept out of the way of large states.

Restoring a lane makes millions of objects of which none is garbage, and the collector goes through all of them again
and again meanwhile: a third of the time of a restore. Afterwards a full collection would stop the loop for as long
as it takes to look at all of them. So it rests while lanes are restored, and what is there then is frozen: it is
freed as soon as nothing refers to it, like all else, but never searched for cycles again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


class Collector:
    """The process's collector; lanes that are restored at the same time share its rest."""

    def __init__(self) -> None:
        """Leave it as it is."""
        self._resting = 0
        self._was_on = True

    @contextmanager
    def rest(self) -> Iterator[None]:
        """Collect nothing meanwhile; freeze what exists when the last one that asked for rest is done."""
        if not self._resting:
            self._was_on = gc.isenabled()
            gc.disable()
        self._resting += 1
        try:
            yield
        finally:
            self._resting -= 1
            if not self._resting:
                gc.freeze()
                if self._was_on:
                    gc.enable()

    @staticmethod
    def space_out() -> None:
        """
        Collect less often than Python does by itself, after 20,000 new objects instead of 700.

        Records, decoded values and the tasks of transactions hold no cycles and are freed as soon as nothing refers
        to them. To look for cycles among them cost 0.25 us a record.
        """
        gc.set_threshold(20_000, 20, 20)


collector = Collector()
"""There is one a process, as there is one garbage collector."""
