"""A score over some weeks, as a line without axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from services.console.bands import JUDGED
from services.console.charts.drawing import short

WIDTH, HEIGHT, EDGE = 120.0, 28.0, 3.0
_BEGIN = f'<svg class="spark" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="'
_MIDDLE = f'<path class="spark-mid" d="M0 {HEIGHT / 2:.0f}H{WIDTH:.0f}"/>'


def sparkline(weeks: Sequence[Mapping[str, Any] | None], label: str) -> Markup:
    """
    Draw one score a week, oldest first, on the scale 0 to 100. Weeks without a score are gaps.

    The dot at the end has the colour of the band of the last week.
    """
    path, pen, end = [], "M", ""
    for x, week in zip(_across(len(weeks)), weeks, strict=True):
        if week is None or week["score"] is None or week["band"] not in JUDGED:
            pen, end = "M", ""
            continue
        y = _height(week["score"])
        path.append(f"{pen}{x} {y}")
        pen, end = "L", f'<circle class="dot-{week["band"].lower()}" cx="{x}" cy="{y}" r="2.5"/>'
    line = f'<path class="spark-line" d="{"".join(path)}"/>' if path else ""
    # Numbers and bands are ours, and the label is escaped; a list has sixty of these, and `element` takes twice as long.
    return Markup(f'{_BEGIN}{escape(label)}">{_MIDDLE}{line}{end}</svg>')  # noqa: S704


def scores(weeks: Sequence[Mapping[str, Any] | None]) -> list[float]:
    """Return the scores of the weeks that were judged."""
    return [
        week["score"] for week in weeks if week is not None and week["band"] in JUDGED and week["score"] is not None
    ]


# A list has some thousand points in few places: each is written once.
@lru_cache(maxsize=64)
def _across(count: int) -> tuple[str, ...]:
    step = (WIDTH - 2 * EDGE) / (count - 1) if count > 1 else 0.0
    first = EDGE if count > 1 else WIDTH - EDGE
    return tuple(short(first + step * place) for place in range(count))


@lru_cache(maxsize=2048)
def _height(score: float) -> str:
    return short(EDGE + (HEIGHT - 2 * EDGE) * (1 - min(max(score, 0), 100) / 100))
