"""Judgements of signals that people record: the event of the default tracking plan, and what it says."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from services.shared.tracking_plan.values import MAX_RECORD_TEXT

JUDGEMENT = "Signal Judged"
"""The event."""
VERDICTS = ("useful", "not_useful")


class RecordedJudgement(NamedTuple):
    """What somebody said of one episode of a signal; texts are empty where the event does not say them, and cut at MAX_RECORD_TEXT."""

    episode_id: str
    rule: str
    severity: str
    """The severity that was judged."""
    verdict: str
    """One of VERDICTS."""
    text: str
    author: str


def judgement_of(properties: str) -> RecordedJudgement | None:
    """
    Return what the properties of such an event say, a JSON text.

    None where they name no episode, one of more than MAX_RECORD_TEXT characters, or no verdict.
    """
    try:
        said = msgspec.json.decode(properties, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None
    texts = (said.get(name) for name in RecordedJudgement._fields)
    found = RecordedJudgement(*(text if isinstance(text, str) else "" for text in texts))
    if not 0 < len(found.episode_id) <= MAX_RECORD_TEXT or found.verdict not in VERDICTS:
        return None
    return RecordedJudgement(*(text[:MAX_RECORD_TEXT] for text in found))
