"""
Measures what a back-test of a file takes: memory while it is read and driven, of all its processes together, and CPU.

    python -m tests.bench.backtest.memory [--accounts N] [--days N] [--workers N]

The file is made of simulated customers. Shared memory is counted once (PSS), so Linux is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import multiprocessing
import os
import resource
import tempfile
import threading
from pathlib import Path
from typing import Self

from services.backfill.mapping import Mapping
from services.backfill.times import TimeFormat
from services.backtest.driving.drive import Scoring
from services.backtest.driving.lanes import score
from services.backtest.generator import generate
from services.backtest.histories.event_file import read_event_file

_EVERY_S = 0.2


class _Watch:
    """Looks at the memory of this process and its children, until it is left."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.highest = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_EVERY_S):
            children = [child.pid for child in multiprocessing.active_children() if child.pid is not None]
            self.highest = max(self.highest, sum(map(held, (os.getpid(), *children))))


def held(process: int) -> int:
    """Return the bytes of a process, with its share of what it shares; 0: it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def write_events(file: Path, accounts: int, days: int) -> None:
    """Write the events of people of simulated customers as a table."""
    with file.open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["account", "user", "timestamp", "event"])
        for event in generate(3, accounts, days).events:
            if event.user:
                table.writerow([event.account, event.user, event.at_ms, event.name])


def measure(file: Path, workers: int) -> dict[str, float]:
    """Return the figures of a file."""
    base = held(os.getpid())
    with _Watch() as reading:
        history = read_event_file(file, Mapping(time_format=TimeFormat.MILLISECONDS, event="event"))
    read = held(os.getpid())
    read_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    scoring = Scoring()
    with _Watch() as driving:
        scored, snapshots = score(history, (scoring.plan, scoring.model), workers, lambda _: None)
    days = len(scored.accounts) * (scored.span.end_day - scored.span.first_day)
    frames = sum(len(frame) for frames in snapshots.shards for frame in frames)
    driven_s = sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "events": scored.events,
        "account_days": days,
        "base_mb": base >> 20,
        "read_mb": read >> 20,
        "read_at_its_highest_mb": reading.highest >> 20,
        "driven_at_its_highest_mb": driving.highest >> 20,
        "snapshot_bytes_per_account_day": round(frames / days),
        "read_cpu_us_per_event": round(read_s / scored.events * 1e6, 1),
        "drive_cpu_ms_per_account_day": round((driven_s - read_s) / days * 1000, 3),
    }


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--days", type=int, default=560)
    parser.add_argument("--workers", type=int, choices=(1, 2), default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        file = Path(folder) / "events.csv"
        writing = multiprocessing.Process(target=write_events, args=(file, chosen.accounts, chosen.days))
        writing.start()  # its memory is none of the back-test's
        writing.join()
        print(json.dumps(measure(file, chosen.workers)), flush=True)


if __name__ == "__main__":
    main()
