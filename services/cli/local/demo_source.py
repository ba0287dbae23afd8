"""The simulated past as a source for a backfill, the same one at each start of a demo."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.backfill.mapping import TimedCall
from services.cli.local.stack_state import hold, lock_file
from services.cli.local.supervision import still_runs
from services.shared.errors import Fatal
from services.shared.units import DAY_MS
from services.simulator import History

FILE = "demo.json"
SEED = 7
WEEKS = 35
"""Of a demo that nobody asked to be a shorter one."""


class Remembered(msgspec.Struct, frozen=True):
    """What a demo's data folder is the demo of."""

    until_ms: int
    weeks: int


def require_same(data: Path, weeks: int | None) -> None:
    """
    Check that a data folder has no demo of another length than is asked for; None asks for whichever there is.

    Raises:
        Fatal: it has.
    """
    if not (data / FILE).exists():
        return
    kept = _kept(data)
    if weeks not in (None, kept.weeks):
        raise Fatal(
            f"{data} has the demo of {kept.weeks} weeks: leave out --weeks to go on with it, give --fresh to start over, or"
            " name another --data"
        )


def remembered(data: Path, weeks: int | None, now_ms: int) -> History:
    """Return the history of a data folder; a folder without one gets the history that ends now."""
    file = data / FILE
    if not file.exists():
        new = Remembered(now_ms, WEEKS if weeks is None else weeks)
        draft = file.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(new))
        draft.replace(file)
    kept = _kept(data)
    return History(SEED, kept.until_ms, kept.weeks)


def _kept(data: Path) -> Remembered:
    return msgspec.json.decode((data / FILE).read_bytes(), type=Remembered)


def delete(data: Path) -> None:
    """
    Delete the data of a demo; a folder that has none is left as it is.

    Raises:
        Fatal: it runs, or was killed and is still being stopped.
    """
    if not (data / FILE).exists():
        return
    if still_runs(data.resolve()):
        raise Fatal(f"a Tidemark in {data} runs, or is being stopped: stop it, then run the same command again")
    with hold(data):
        for each in data.iterdir():
            if each.name in (FILE, lock_file(data).name):
                continue
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
        (data / FILE).unlink()  # last: by it a folder that was deleted in part is still known for a demo's


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
