"""
Python's cyclic garbage collection, kept out of the way of records and of large states.

Restoring a lane makes millions of objects of which none is garbage, and a collection goes through all of them again
and again meanwhile: a third of the time of a restore. Afterwards a full collection would stop the loop for as long
as it takes to look at all of them. So it is paused while lanes are restored, and what is there then is frozen: it is
freed as soon as nothing refers to it, like all else, but never searched for cycles again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


class GcPause:
    """A pause that all who ask for it share: it lasts until the last of them is done."""

    def __init__(self) -> None:
        """Leave everything as it is."""
        self._asking = 0
        self._was_on = True

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Collect nothing meanwhile; freeze what exists when the last one that asked is done."""
        if not self._asking:
            self._was_on = gc.isenabled()
            gc.disable()
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            if not self._asking:
                gc.freeze()
                if self._was_on:
                    gc.enable()


gc_paused = GcPause()
"""There is one a process, as there is one garbage collection."""


def collect_less_often() -> None:
    """
    Collect after 20,000 new objects instead of Python's own 700.

    Records, decoded values and the tasks of transactions hold no cycles and are freed as soon as nothing refers
    to them. To look for cycles among them cost 0.25 us a record.
    """
    gc.set_threshold(20_000, 20, 20)
