"""What people answer in surveys."""

from __future__ import annotations

from services.scorer.domain.health.known import Known
from services.scorer.domain.health.measures.registry import measure


@measure
def survey_responses(known: Known) -> float | None:
    return known.sentiment.responses


@measure
def survey_mean(known: Known) -> float | None:
    return known.sentiment.mean


@measure
def detractors(known: Known) -> float | None:
    return known.sentiment.detractors_90


@measure
def lowest_answer(known: Known) -> float | None:
    return known.sentiment.lowest_score_90 if known.sentiment.lowest_score_90 >= 0 else None
