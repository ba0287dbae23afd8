"""
Measures what one account weighs in a scorer's memory, at 50 users and with all five metrics in use.

    python -m tests.bench.scorer.memory [--accounts N] [--users N]

Accounts are restored from their state records, as after a restart, in a process of their own; the duplicate window
is empty. `traced` is what Python's allocator was asked for; `resident` is what the process grew by, with what the
allocator keeps besides.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.lane.usage_state import UsageState
from services.shared.plan_file import default_plan
from tests.bench.scorer.history import DUPLICATE_IDS, make_lane, names, state_records

_SAMPLE = 2_000


def write(file: Path, accounts: int, users: int) -> int:
    """Write the state records of so many accounts to a file; return their size in bytes an account."""
    (members,) = names(accounts, 1)
    size = 0
    with file.open("wb") as out:
        for key, value in state_records(make_lane(0, 1, members, users, int(time.time() * 1000))):
            size += len(key) + len(value)
            line = msgspec.msgpack.encode((key, value))
            out.write(len(line).to_bytes(4, "big") + line)
    return size // accounts


def read(file: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the records of a file."""
    with file.open("rb") as lines:
        while head := lines.read(4):
            key, value = msgspec.msgpack.decode(lines.read(int.from_bytes(head, "big")), type=tuple[bytes, bytes])
            yield key, value


def restored(file: Path) -> UsageState:
    """Return the state that the records of a file hold."""
    state = UsageState(DUPLICATE_IDS, kinds_of(default_plan()))
    for key, value in read(file):
        state.restore(key, value)
    for _ in state.restoring():
        pass
    return state


def weigh(file: Path, *, trace: bool) -> float:
    """Return bytes an account, as traced or as resident."""
    process = psutil.Process()
    restored(Path("/dev/null"))
    gc.collect()
    if trace:
        tracemalloc.start()
    before = process.memory_info().rss
    state = restored(file)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] if trace else process.memory_info().rss - before
    return grown / len(state.accounts)


def apart(file: Path, *options: str) -> float:
    """Weigh in a process that has held nothing before."""
    command = [sys.executable, "-m", "tests.bench.scorer.memory", "--weigh", str(file), *options]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--weigh", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--trace", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.weigh:
        print(weigh(chosen.weigh, trace=chosen.trace))
        return
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        write(few, _SAMPLE, chosen.users)
        on_the_log = write(many, chosen.accounts, chosen.users)
        figures = {"traced": apart(few, "--trace"), "resident": apart(many)}
    print(
        json.dumps({
            "accounts": chosen.accounts, "users": chosen.users, "on_the_log": on_the_log,
            **{name: round(size) for name, size in figures.items()},
        }),
        flush=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
