"""Bands of the score, with hysteresis: an account does not change colour because it trembles on an edge."""

from __future__ import annotations

from services.shared.units import HOUR_MS

EDGES = (("RED", 0, 500), ("YELLOW", 500, 750), ("GREEN", 750, 1001))
"""Name, lower edge and upper edge in tenths of a point."""
MARGIN = 30
"""Tenths of a point past the edge that are clearly another band."""
HOLD_MS = 23 * HOUR_MS
"""How long the score must stay there: a day; an hour less, since closed days are evaluated a little earlier or later."""


def band_of(score: int) -> str:
    """Return the band of a score in tenths."""
    return next(name for name, low, high in EDGES if low <= score < high)


def next_band(band: str, since: int, score: int, at: int, before: int | None = None) -> tuple[str, int]:
    """
    Return the band and since when the score is clearly in another one.

    Args:
        band: The band so far; anything but a colour takes the score's colour at once.
        since: Since when the score was clearly in another band, 0: it was not.
        score: In tenths of a point.
        at: Log time in milliseconds.
        before: The score when `since` was told; None: there was none.
    """
    for name, low, high in EDGES:
        if name != band:
            continue
        past = _past(score, low, high)
        if not past:
            return band, 0
        if not since or (before is not None and _past(before, low, high) == -past):  # past the other edge till now
            return band, at
        return (band, since) if at - since < HOLD_MS else (band_of(score), 0)
    return band_of(score), 0


def _past(score: int, low: int, high: int) -> int:
    """Return the edge that a score is clearly past: -1 the lower, 1 the upper, 0 none."""
    return (score >= high + MARGIN) - (score <= low - MARGIN)
