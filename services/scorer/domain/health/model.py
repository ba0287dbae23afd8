"""The model: which measures make the score, with what weight and by what anchors. Configuration, checked as it is read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from xxhash import xxh64_hexdigest

from schemas.measures import MEASURES
from services.scorer.domain.health.risk import RiskModel
from services.scorer.domain.health.risk import problems as of_risk
from services.shared.calendars import public_holidays
from services.shared.files.expected_types import type_problem_of
from services.shared.tracking_plan.plan import TrackingPlan, fingerprint

SCORED = tuple(name for name, each in MEASURES.items() if each.source == "scorer" and each.polarity != "neutral")
"""Measures of which a score can be made."""
DIMENSIONS = ("usage", "breadth", "value", "support", "sentiment", "renewal")
STAGES = ("ONBOARDING", "ADOPTION", "ONGOING", "RENEWAL")


class MeasureRule(msgspec.Struct, forbid_unknown_fields=True):
    """How one measured value becomes points."""

    weight: float
    anchors: list[tuple[float, float]]

    def points(self, value: float) -> int:
        """Return 0 to 100 points, by straight lines between the anchors."""
        anchors = self.anchors
        x0, y0 = anchors[0]
        if value <= x0:
            return round(y0)
        for x1, y1 in anchors:
            if value <= x1:
                return round(y0 + (y1 - y0) * (value - x0) / (x1 - x0))
            x0, y0 = x1, y1
        return round(y0)


class Model(msgspec.Struct, forbid_unknown_fields=True):
    """All that the score depends on beside the data."""

    version: str
    stages: dict[str, dict[str, float]]
    measures: dict[str, MeasureRule]
    coverage_floor: float = 0.6
    silence_cap: int = 40
    silence_cap_days: int = 21
    risk: RiskModel | None = None
    """None: accounts are not ranked by risk."""
    fingerprint: str = ""
    """Version and hash of everything above and of the tracking plan; snapshots carry it."""


def read_model(config: Mapping[str, Any], plan: TrackingPlan) -> Model:
    """
    Check a model's configuration and return it.

    Args:
        config: As read from YAML.
        plan: The tracking plan that it is used with.

    Raises:
        ValueError: what is wrong, all of it, one line each.
    """
    try:
        model = msgspec.convert(config, Model)
    except msgspec.ValidationError as error:
        path, detail = type_problem_of(error)
        raise ValueError(f"{path.removeprefix('.') or 'the model'}: {detail}") from error
    problems = [*_of_stages(model), *_of_measures(model), *(of_risk(model.risk) if model.risk else ())]
    if problems:
        raise ValueError("\n".join(problems))
    model.measures = {name: model.measures[name] for name in SCORED if name in model.measures}
    bare = msgspec.structs.replace(model, fingerprint="")
    content = msgspec.json.encode((bare, fingerprint(plan), public_holidays.VERSION), order="sorted")
    model.fingerprint = f"{model.version}-{xxh64_hexdigest(content)[:12]}"
    return model


def _of_stages(model: Model) -> Iterator[str]:
    yield from (f"stages: {stage} is missing" for stage in STAGES if stage not in model.stages)
    yield from (f"stages: {stage} is unknown" for stage in sorted(model.stages) if stage not in STAGES)
    for stage, weights in sorted(model.stages.items()):
        for name, weight in sorted(weights.items()):
            if name not in DIMENSIONS:
                yield f"stages.{stage}: there is no dimension {name}"
            if not (weight >= 0 and math.isfinite(weight)):
                yield f"stages.{stage}.{name}: a weight is a number from 0"
        if not any(weight > 0 for weight in weights.values()):
            yield f"stages.{stage}: give at least one dimension a weight greater than 0"
    if not 0 <= model.coverage_floor <= 1:
        yield "coverage_floor: must be from 0 to 1"
    if not 0 <= model.silence_cap <= 100:
        yield "silence_cap: must be from 0 to 100"
    if model.silence_cap_days < 1:
        yield "silence_cap_days: must be at least 1"


def _of_measures(model: Model) -> Iterator[str]:
    if not model.measures:
        yield "measures: name at least one measure, or every score is 0"
    for name, rule in sorted(model.measures.items()):
        if name not in SCORED:
            yield f"measures.{name}: a score cannot be made of it; there are {', '.join(SCORED)}"
        if not (rule.weight > 0 and math.isfinite(rule.weight)):
            yield f"measures.{name}.weight: must be a number greater than 0"
        values = [value for value, _ in rule.anchors]
        if not all(math.isfinite(each) for anchor in rule.anchors for each in anchor):
            yield f"measures.{name}.anchors: values and points must be numbers"
        if not values or values != sorted(set(values)):
            yield f"measures.{name}.anchors: values must rise from anchor to anchor"
        points = [points for _, points in rule.anchors]
        if any(not 0 <= each <= 100 for each in points):
            yield f"measures.{name}.anchors: points go from 0 to 100"
        if name in SCORED and points != sorted(points, reverse=MEASURES[name].polarity == "lower_is_better"):
            yield f"measures.{name}.anchors: points must go with the measure: {MEASURES[name].polarity}"
