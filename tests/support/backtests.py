"""Hand-made activity for back-tests: `rows("5x30 0x10", ...)`, one row for each account."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.backtest.domain.grid import Grid
from services.cli.rule_testing.cases import series
from services.shared.units import day_number

SUNDAY_BEFORE = date(2023, 12, 31)
"""Column 0 is the Monday after it, so that columns 6, 13, ... are Sundays."""
FIRST_DAY = day_number(SUNDAY_BEFORE) + 1


def rows(*accounts: str) -> NDArray[np.uint16]:
    """Return active user-days day by day; shorter series are followed by zeros."""
    found = [series(account) for account in accounts]
    matrix = np.zeros((len(found), max(map(len, found))), np.uint16)
    for place, days in enumerate(found):
        matrix[place, : len(days)] = days
    return matrix


def grid(*accounts: str, least_base: float = 1.0, lost: dict[int, int] | None = None) -> Grid:
    """Return the grid of such accounts; `lost` are columns by row."""
    days = None if lost is None else {row: column + FIRST_DAY for row, column in lost.items()}
    return Grid(rows(*accounts), FIRST_DAY, least_base=least_base, lost=days)


def at(column: int) -> int:
    """Return the log time at which a signal comes that knows the days up to a column."""
    return (FIRST_DAY + column + 1) * 86_400_000
