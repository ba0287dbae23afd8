"""The latest per person: each person's latest answer to "how likely are you to recommend us", 0 to 10."""

from __future__ import annotations

from typing import NamedTuple

from services.scorer.domain.units import DAY_MS

KEEP_MS = 180 * DAY_MS
DETRACTOR_MS = 90 * DAY_MS
MAX_ANSWERS = 1_000
"""People per account. Beyond that the oldest answer is forgotten."""

Answers = dict[str, tuple[int, int]]
"""Person to (time of the answer in milliseconds since 1970 UTC, score 0 to 10)."""


class Sentiment(NamedTuple):
    """What the answers of the last 180 days say."""

    responses: int
    latest_score: int
    latest_at: int
    detractors_90: int
    lowest_score_90: int
    lowest_user_90: str
    mean: float
    """Mean score; 0 without answers."""


def note(answers: Answers, person: str, at: int, score: int) -> None:
    """Take in an answer; an older one than the person's latest changes nothing. Of two at one time the higher counts."""
    if (at, score) <= answers.get(person, (-1, -1)):
        return
    answers[person] = (at, score)
    if len(answers) > MAX_ANSWERS:
        del answers[min(answers, key=lambda p: (answers[p], p))]


def forget_old(answers: Answers, now_ms: int) -> bool:
    """Drop answers that are over 180 days old; return whether there were any."""
    gone = [person for person, (at, _) in answers.items() if at < now_ms - KEEP_MS]
    for person in gone:
        del answers[person]
    return bool(gone)


def sentiment(answers: Answers | None, now_ms: int) -> Sentiment:
    """Sum up the answers as of a log time."""
    fresh = sorted((at, score, p) for p, (at, score) in (answers or {}).items() if at >= now_ms - KEEP_MS)
    if not fresh:
        return Sentiment(0, -1, 0, 0, -1, "", 0.0)
    latest_at, latest_score, _ = fresh[-1]
    recent = [(score, person) for at, score, person in fresh if at >= now_ms - DETRACTOR_MS]
    lowest = min(recent) if recent else (-1, "")
    return Sentiment(
        responses=len(fresh),
        latest_score=latest_score,
        latest_at=latest_at,
        detractors_90=sum(1 for score, _ in recent if score <= 6),
        lowest_score_90=lowest[0],
        lowest_user_90=lowest[1],
        mean=sum(score for _, score, _ in fresh) / len(fresh),
    )
