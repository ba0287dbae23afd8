"""
What is use of the product, by the tracking plan: the one rule of the scorer, which counts it, and of ingest, which marks it.

Only track, page and screen events can be use. One that the plan does not name is; of one that it names, `means` decides.
"""

from __future__ import annotations

from services.shared.tracking_plan.plan import EventPlan, words

KINDS_OF_USE = frozenset({"TRACK", "PAGE", "SCREEN"})
"""As the event record has them."""
_COUNTED = frozenset({"counts", "milestones", "features"})
"""Kinds of state that use of the product changes. All others say something else of the account: cases, answers, absences."""


def is_use(event: EventPlan | None) -> bool:
    """Return whether an event, page or screen is use of the product, by what the plan says of it; None: it does not name it."""
    return event is None or (event.means != "ignored" and all(map(is_use_word, words(event))))


def is_use_word(word: str) -> bool:
    """Return whether a name of state, such as `counts.exports`, is one that use changes."""
    return word.partition(".")[0] in _COUNTED
