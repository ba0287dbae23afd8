"""What people answer in surveys."""

from __future__ import annotations

from services.scorer.domain.health.known import Known
from services.scorer.domain.health.measures.registry import measure
from services.shared.units import day_of


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


@measure
def answer_age_days(known: Known) -> float | None:
    # In whole days: a value that moved with the time of day would make each evaluation a new snapshot.
    return max(0, known.day - day_of(known.sentiment.latest_at))
