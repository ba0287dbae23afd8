"""
The latest per person: each person's latest answer to a survey, such as "how likely are you to recommend us".

An answer without a user may be anybody's, so it stands beside all others and takes the place of none.
"""

from __future__ import annotations

from typing import NamedTuple

from xxhash import xxh64_hexdigest

from services.shared.units import DAY_MS

KEEP_MS = 180 * DAY_MS
DETRACTOR_MS = 90 * DAY_MS
MAX_ANSWERS = 1_000
"""Per account, shared out evenly among its surveys. Beyond that the oldest answer is forgotten, counted."""

_SOMEBODY = "\0"
"""What begins the name of whoever answered without a user; no user's does."""

Answers = dict[str, tuple[int, int]]
"""Person to (time of the answer in milliseconds since 1970 UTC, score)."""


class Sentiment(NamedTuple):
    """
    What the answers of the last 180 days say.

    Times are milliseconds since 1970 UTC. Without answers scores are -1, times 0 and `lowest_user_90` is empty, as for
    an answer without a user.
    """

    responses: int
    latest_score: int
    latest_at: int
    detractors_90: int
    """People whose score is in the lower six tenths of the scale: 0 to 6 of 10."""
    lowest_score_90: int
    lowest_user_90: str
    mean: float
    """Mean score; 0 without answers."""


def somebody(source: str, event_id: str) -> str:
    """Return a name for whoever answered without a user: the same if the event is sent once more, else another one."""
    return _SOMEBODY + xxh64_hexdigest(f"{source}\0{event_id}".encode())


def note(answers: Answers, person: str, at: int, score: int, surveys: int = 1) -> bool:
    """
    Take in an answer; return False if the cap, which all `surveys` of the account share, cost one.

    An older one than the person's latest changes nothing. Of two at one time the higher counts.
    """
    if (at, score) <= answers.get(person, (-1, -1)):
        return True
    answers[person] = (at, score)
    if len(answers) <= MAX_ANSWERS // surveys:
        return True
    del answers[min(answers, key=lambda p: (answers[p], p))]
    return False


def merge(answers: Answers, person: str, into: str) -> bool:
    """Make one person of two: the later answer holds; return whether the first had answered."""
    answer = answers.pop(person, None)
    if answer is None:
        return False
    answers[into] = max(answer, answers.get(into, answer))
    return True


def forget_old(answers: Answers, now_ms: int) -> bool:
    """Drop answers that are over 180 days old; return whether there were any."""
    gone = [person for person, (at, _) in answers.items() if at < now_ms - KEEP_MS]
    for person in gone:
        del answers[person]
    return bool(gone)


def sentiment(answers: Answers | None, now_ms: int, scale: tuple[int, int] = (0, 10)) -> Sentiment:
    """Sum up the answers to a survey as of a log time; `scale` is its lowest and its highest score."""
    fresh = sorted((at, score, p) for p, (at, score) in (answers or {}).items() if at >= now_ms - KEEP_MS)
    if not fresh:
        return Sentiment(0, -1, 0, 0, -1, "", 0.0)
    latest_at, latest_score, _ = fresh[-1]
    recent = [(score, person) for at, score, person in fresh if at >= now_ms - DETRACTOR_MS]
    lowest = min(recent, key=lambda each: (each[0], _is_somebody(each[1]), each[1])) if recent else (-1, "")
    low, high = scale
    return Sentiment(
        responses=len(fresh),
        latest_score=latest_score,
        latest_at=latest_at,
        detractors_90=sum(1 for score, _ in recent if 10 * (score - low) <= 6 * (high - low)),
        lowest_score_90=lowest[0],
        lowest_user_90="" if _is_somebody(lowest[1]) else lowest[1],
        mean=sum(score for _, score, _ in fresh) / len(fresh),
    )


def _is_somebody(person: str) -> bool:
    return person.startswith(_SOMEBODY)
