"""From a driven history to its figures."""

from __future__ import annotations

from services.backtest.domain.figures import USAGE_RULES, Figures, Said, figures
from services.backtest.domain.grid import Grid
from services.backtest.driving import Driven

COLLAPSE = "the next 12 weeks at 35 % of the 30 weeks before or less"


def measure(
    driven: Driven, *, least_base: float = 1.0, draws: int = 200, rules: frozenset[str] = USAGE_RULES
) -> Figures:
    """
    Measure a driven history by what its accounts did afterwards.

    Args:
        driven: The history, with what Tidemark said.
        least_base: Active user-days a week below which an account is not looked at.
        draws: How often accounts are drawn for the intervals; fewer are quicker.
        rules: The rules whose signals count as alarms.
    """
    grid = Grid(driven.activity, driven.span.first_day, least_base=least_base)
    scores = driven.scores
    said = Said(driven.accounts, driven.episodes, scores.account, scores.at, scores.score_tenths)
    return figures(driven.name, said, grid, target=COLLAPSE, rules=rules, draws=draws)
