"""The accounts that are measured, cut out of all: those with at least one account-week that is valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from services.backtest.domain.episodes import Episode
from services.backtest.domain.figures import Said
from services.backtest.domain.grid import Grid, Ints


def cohort_of(said: Said, grid: Grid, lost: Mapping[int, int] | None) -> tuple[Said, Grid]:
    """
    Return what was said of the measured accounts, and their grid.

    Args:
        said: What was said of all.
        grid: Of all, with the loss told from their use.
        lost: The day on which accounts were lost, by row of `grid`, where that is what counts as a loss.
    """
    rows = np.unique(grid.weeks().account)
    if lost:
        rows = np.union1d(rows, np.array(list(lost), np.int64))
    places = {int(row): place for place, row in enumerate(rows)}
    moved = None if lost is None else {places[row]: day for row, day in lost.items()}
    part = Grid(grid.activity[rows], grid.first_day, least_base=grid.least_base, lost=moved)
    return _said(said, rows), part


def _said(said: Said, rows: Ints) -> Said:
    accounts = [said.accounts[row] for row in rows]
    names = frozenset(accounts)
    place = np.full(len(said.accounts), -1, np.int32)
    place[rows] = np.arange(rows.size)
    kept = place[said.score_account] >= 0
    return Said(
        accounts,
        _of(said.episodes, names),
        place[said.score_account[kept]],
        said.score_at[kept],
        said.score_tenths[kept],
        said.risk[kept],
    )


def _of(episodes: Sequence[Episode], accounts: frozenset[str]) -> list[Episode]:
    return [episode for episode in episodes if episode.account in accounts]
