"""
The health score: measures to points, points to a score that its parts add up to exactly.

Each measure's share is its weight times its points. The score is the rounded sum in tenths of a point; the shares
are rounded to tenths by largest remainder, so they add up to the score with nothing left. What the score moved by
since the snapshot before is again the exact sum of what each share moved by, with measures that vanished in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.scorer.domain.health.measures import MEASURES, Known
from services.scorer.domain.health.model import DIMENSIONS, Model

CAP = "silence_cap"


class MeasureResult(NamedTuple):
    """One measure in a score. `contribution` and `change` are tenths of a point."""

    name: str
    dimension: str
    value: float
    score: int
    weight: float
    contribution: int
    change: int


class Health(NamedTuple):
    """A score in tenths of a point, the exact sum of the contributions."""

    score: int
    coverage: float
    measures: tuple[MeasureResult, ...]

    @property
    def shares(self) -> dict[str, int]:
        """Contribution by measure, for the next comparison."""
        return {m.name: m.contribution for m in self.measures if m.contribution or m.weight}


def shared_out(shares: Sequence[float]) -> list[int]:
    """Round shares so that they add up to their rounded sum exactly; the largest remainders are rounded up."""
    total = math.floor(math.fsum(shares) + 0.5)
    floors = [math.floor(share) for share in shares]
    order = sorted(range(len(shares)), key=lambda i: (floors[i] - shares[i], i))
    for i in order[: total - sum(floors)]:
        floors[i] += 1
    return floors


def health(known: Known, model: Model, connected: frozenset[str], before: Mapping[str, int]) -> Health:
    """
    Score an account.

    Args:
        known: What the measures look at.
        model: Weights and anchors.
        connected: Dimensions for which the deployment has ever received data.
        before: Contributions of the snapshot before, by measure.
    """
    taken: dict[str, list[tuple[str, float, int, float]]] = {}
    for name, measure in MEASURES.items():
        rule = model.measures.get(name)
        if rule is None or rule.dimension not in connected:
            continue
        value = measure(known)
        if value is not None:
            taken.setdefault(rule.dimension, []).append((name, value, rule.points(value), rule.weight))
    of_stage = model.stages[known.stage]
    possible = math.fsum(of_stage.get(d, 0.0) for d in DIMENSIONS if d in connected)
    covered = math.fsum(of_stage.get(d, 0.0) for d in DIMENSIONS if d in taken)
    rows: list[tuple[str, str, float, int, float]] = []
    for dimension in DIMENSIONS:
        within = math.fsum(weight for *_, weight in taken.get(dimension, ()))
        for name, value, points, weight in taken.get(dimension, ()):
            rows.append(
                (
                    name,
                    dimension,
                    value,
                    points,
                    of_stage.get(dimension, 0.0) / covered * weight / within if covered else 0.0,
                )
            )
    contributions = shared_out([weight * points * 10 for *_, points, weight in rows])
    score = sum(contributions)
    results = [
        MeasureResult(*row, contribution, contribution - before.get(row[0], 0))
        for row, contribution in zip(rows, contributions, strict=True)
    ]
    most = model.silence_cap * 10
    if _silent(known, model) and score > most:
        results.append(
            MeasureResult(CAP, "cap", float(model.silence_cap), 0, 0.0, most - score, most - score - before.get(CAP, 0))
        )
        score = most
    present = {result.name for result in results}
    for name in sorted(before):
        if name not in present and before[name]:
            dimension = model.measures[name].dimension if name in model.measures else "cap"
            results.append(MeasureResult(name, dimension, 0.0, 0, 0.0, 0, -before[name]))
    return Health(score, covered / possible if possible else 0.0, tuple(results))


def _silent(known: Known, model: Model) -> bool:
    """Tell whether silence caps the score; in onboarding it does not, there is no habit to fall from."""
    usage = known.usage
    return known.stage != "ONBOARDING" and usage.silent_days >= max(model.silence_cap_days, usage.silence_limit)
