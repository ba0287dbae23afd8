"""From a driven history to its figures: by what accounts did, by a list of those that were lost, or by a generator's truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.backtest import generator
from services.backtest.domain.alarms import Alarms
from services.backtest.domain.cohort import cohort_of
from services.backtest.domain.figures import OURS, TUNED, BacktestFigures, Said, figures, our_alarms
from services.backtest.domain.grid import Grid
from services.backtest.domain.naive import NaiveAlarms
from services.backtest.domain.outcomes import Calls, Lost, count_calls, lost_of, measure_calls
from services.backtest.driving import Driven


@dataclass(frozen=True)
class AgainstList:
    """What alarms would have meant for the accounts on a list of lost customers."""

    calls: list[Calls]
    """Of Tidemark first, then of the plainest rules."""
    lost: Lost
    owners: int
    """How many people look after accounts; 0: the history does not say."""


def measure(
    driven: Driven, *, least_base: float = 1.0, draws: int = 200, rules: frozenset[str] | None = None
) -> BacktestFigures:
    """
    Measure a driven history: by its list of lost accounts where it has one, else by what its accounts did afterwards.

    Args:
        driven: The history, with what Tidemark said.
        least_base: Active user-days a week below which an account is not looked at.
        draws: How often accounts are drawn for the intervals; fewer are quicker.
        rules: The rules whose signals count as alarms; by default those that are told from use alone.
    """
    grid, lost = _grid(driven, least_base)
    days = None if lost is None else {row: column + grid.first_day for row, column in lost.every.items()}
    said, part = cohort_of(_said(driven), grid, days)
    return figures(
        driven.name,
        said,
        part,
        target="collapse" if lost is None else "loss",
        rules=rules or driven.usage_rules,
        draws=draws,
    )


def measure_list(driven: Driven) -> AgainstList:
    """Say what alarms would have meant for the accounts that the history's list says were lost."""
    grid, lost = _grid(driven, 0.0)
    if lost is None:
        raise ValueError(f"{driven.name} has no list of lost accounts")
    alarms = _alarms(driven, grid, lambda alarms: count_calls(alarms, lost, grid))
    calls = [measure_calls(name, each, lost, driven.accounts, grid) for name, each in alarms.items()]
    return AgainstList(calls, lost, len(driven.scores.owners))


def measure_truth(driven: Driven, made: generator.Generated) -> dict[str, generator.Figures]:
    """Judge alarms against the truth of a generated history, by name."""
    grid, _ = _grid(driven, 0.0)
    found = {}
    for name, alarms in _alarms(driven, grid).items():
        onsets: dict[str, list[int]] = {}
        for row, column in zip(*alarms.onsets(), strict=True):
            onsets.setdefault(driven.accounts[row], []).append(int(column) + 1 + grid.first_day)
        found[name] = generator.found(made.truth, onsets)
    return found


def _grid(driven: Driven, least_base: float) -> tuple[Grid, Lost | None]:
    grid = Grid(driven.activity, driven.span.first_day, least_base=least_base)
    listed = [outcome for outcome in driven.outcomes if outcome.kind == "lost"]
    return grid, lost_of(listed, driven.accounts, grid) if listed else None


def _said(driven: Driven) -> Said:
    scores = driven.scores
    return Said(driven.accounts, driven.episodes, scores.account, scores.at, scores.score_tenths, scores.risk)


def _alarms(driven: Driven, grid: Grid, count: Callable[[Alarms], int] | None = None) -> Mapping[str, Alarms]:
    ours = our_alarms(driven.episodes, driven.accounts, grid, driven.usage_rules)
    naive = NaiveAlarms(grid)
    days, tuned = naive.silent_as_often(ours, count)
    return {OURS: ours, **naive.all(), TUNED.format(days=days): tuned}
