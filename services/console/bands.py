"""The bands of health: in which order they are shown, and in which of them a score means something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JUDGED = ("RED", "YELLOW", "GREEN")
"""Those in which a score means something, from the worst to the best."""
RANK = {band: place for place, band in enumerate(JUDGED)}
BANDS = (*JUDGED, "UNKNOWN", "LEARNING")


def amount_of(week: Mapping[str, Any], band: str, what: str) -> float:
    """Return how many `accounts` or how much `revenue` a week had in a band."""
    return float((week["bands"].get(band) or {}).get(what) or 0)
