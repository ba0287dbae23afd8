"""What changed since the day before: which accounts, from what to what, and through which parts of the score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.warehouse.domain.ordering import UNJUDGED

Found = Mapping[str, Any]

LEAST_TENTHS = 50
"""A score that moves by less in a day is no news while the band stays."""
_MOST_REASONS = 3
_RANK = {"RED": 0, "YELLOW": 1}
_GOOD = 2
"""The rank of GREEN, and of bands that judge nothing: who is judged for the first time has fallen unless it is well."""


def is_news(before: Found, now: Found) -> bool:
    """Return whether an account is another one than the day before: its band, or its score by five points."""
    if before["band"] != now["band"]:
        return True
    return now["band"] not in UNJUDGED and abs(now["score_tenths"] - before["score_tenths"]) >= LEAST_TENTHS


def urgency(before: Found, now: Found) -> tuple[int, int, float, str]:
    """Return what changes are sorted by: those for the worse first, by how far the score went, then by revenue."""
    fell = _RANK.get(now["band"], _GOOD) < _RANK.get(before["band"], _GOOD) or (
        now["band"] == before["band"] and now["score_tenths"] < before["score_tenths"]
    )
    return int(not fell), -abs(now["score_tenths"] - before["score_tenths"]), -(now["revenue"] or 0.0), now["account"]


def reasons(before: Found, now: Found) -> list[dict[str, Any]]:
    """Return the parts of two whole snapshots that moved the score most, in the direction in which it went."""
    old = {part["measure"]: part for part in before["parts"]}
    new = {part["measure"]: part for part in now["parts"]}
    moved = now["score_tenths"] - before["score_tenths"]
    found = []
    for measure in [*new, *(each for each in old if each not in new)]:
        part = new.get(measure) or {**old[measure], "score": 0, "weight": 0.0, "contribution_tenths": 0}
        change = part["contribution_tenths"] - (old[measure]["contribution_tenths"] if measure in old else 0)
        if change and (change < 0) == (moved < 0):
            found.append({**part, "change_tenths": change})
    found.sort(key=lambda part: (-abs(part["change_tenths"]), part["measure"]))
    return found[:_MOST_REASONS]
