"""
The health score: measures to points, points to a score that its parts add up to exactly.

Each measure's share is its weight times its points. The score is the rounded sum in tenths of a point; the shares
are rounded to tenths by largest remainder, so they add up to the score with nothing left. The change of the
score since the previous snapshot is again the exact sum of the changes of the shares, including those of measures that
are no longer known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from schemas.measures import MEASURES
from services.scorer.domain.health.model import DIMENSIONS, Model
from services.scorer.domain.health.rounding import shared_out

CAP = 0
"""Stands for the cap on silent accounts, where other parts have the number of a measure."""


class ScorePart(NamedTuple):
    """What one measure adds to a score. `contribution` and `change` are tenths of a point."""

    number: int
    """The number of the measure; 0: the cap on silent accounts."""
    score: int
    weight: float
    contribution: int
    change: int


class Health(NamedTuple):
    """A score in tenths of a point, the exact sum of the contributions."""

    score: int
    coverage: float
    parts: tuple[ScorePart, ...]

    @property
    def shares(self) -> dict[int, int]:
        """Contribution by number of the measure, for the next comparison."""
        return {part.number: part.contribution for part in self.parts if part.contribution or part.weight}


def health(
    values: Mapping[str, float], stage: str, model: Model, connected: frozenset[str], before: Mapping[int, int]
) -> Health:
    """
    Score an account.

    Args:
        values: The measures that are known, by name.
        stage: The account's stage, which decides the weights of the dimensions.
        model: Weights and anchors.
        connected: Dimensions for which the deployment has ever received data.
        before: Contributions of the snapshot before, by number of the measure.
    """
    weighed, coverage = _weighed(values, model.stages[stage], model, connected)
    contributions = shared_out([weight * points * 10 for _, points, weight in weighed])
    score = sum(contributions)
    parts = [
        ScorePart(number, points, weight, contribution, contribution - before.get(number, 0))
        for (number, points, weight), contribution in zip(weighed, contributions, strict=True)
    ]
    most = model.silence_cap * 10
    if score > most and stage != "ONBOARDING" and _silent(values, model):
        change = most - score - before.get(CAP, 0)
        parts.append(ScorePart(CAP, 0, 0.0, most - score, change))
        score = most
    present = {part.number for part in parts}
    gone = [number for number in sorted(before) if number not in present and before[number]]
    parts += [ScorePart(number, 0, 0.0, 0, -before[number]) for number in gone]
    return Health(score, coverage, tuple(parts))


def _weighed(
    values: Mapping[str, float], of_stage: Mapping[str, float], model: Model, connected: frozenset[str]
) -> tuple[list[tuple[int, int, float]], float]:
    """Return number, points and weight of each measure that takes part, by dimension, and the coverage."""
    taken: dict[str, list[tuple[int, int, float]]] = {}
    for name, rule in model.measures.items():
        record = MEASURES[name]
        if name in values and record.dimension in connected:
            taken.setdefault(record.dimension, []).append((record.number, rule.points(values[name]), rule.weight))
    possible = math.fsum(of_stage.get(d, 0.0) for d in DIMENSIONS if d in connected)
    covered = math.fsum(of_stage.get(d, 0.0) for d in DIMENSIONS if d in taken)
    rows: list[tuple[int, int, float]] = []
    for dimension in DIMENSIONS:
        within = math.fsum(weight for *_, weight in taken.get(dimension, ()))
        for number, points, weight in taken.get(dimension, ()):
            share = of_stage.get(dimension, 0.0) / covered * weight / within if covered else 0.0
            rows.append((number, points, share))
    return rows, covered / possible if possible else 0.0


def _silent(values: Mapping[str, float], model: Model) -> bool:
    """Return whether silence caps the score. In onboarding it does not: there is no habit to fall from."""
    return values.get("silent_days", -1) >= max(model.silence_cap_days, values["silence_limit_days"])
