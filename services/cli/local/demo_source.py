"""The simulated past as a source for a backfill, the same one at each start of a demo."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.backfill.mapping import TimedCall
from services.shared.units import DAY_MS
from services.simulator import History

FILE = "demo.json"


class Remembered(msgspec.Struct, frozen=True):
    """What a demo's data folder is the demo of."""

    seed: int
    until_ms: int
    weeks: int


def remembered(data: Path, seed: int, weeks: int, now_ms: int) -> History:
    """Return the history of a data folder; a folder without one gets the history that ends now."""
    file = data / FILE
    if not file.exists():
        draft = file.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(Remembered(seed, now_ms, weeks)))
        draft.replace(file)
    kept = msgspec.json.decode(file.read_bytes(), type=Remembered)
    return History(kept.seed, kept.until_ms, kept.weeks)


@dataclass(frozen=True, slots=True)
class DemoHistory:
    """A `History` with what a backfill asks of its source."""

    history: History

    @property
    def name(self) -> str:
        """Return what progress records call it."""
        return f"demo, seed {self.history.seed}"

    @property
    def sha256(self) -> str:
        """Return its identity."""
        return hashlib.sha256(repr(self.history).encode()).hexdigest()

    @property
    def stem(self) -> str:
        """Return what the ids of its events begin with."""
        return f"sim-{self.history.seed}-"

    @property
    def first_ms(self) -> int:
        """Return the start of its first day."""
        return (self.history.last_day - self.history.weeks * 7 + 1) * DAY_MS

    @property
    def span_ms(self) -> int:
        """Return its length."""
        return self.history.until_ms - self.first_ms

    def events(self) -> Iterator[TimedCall]:
        """Yield the calls in time order."""
        for at_ms, call in self.history.events():
            yield TimedCall(at_ms, call)
