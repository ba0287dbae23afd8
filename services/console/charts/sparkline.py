"""A score over some weeks, as a line without axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from services.console.charts.drawing import Point, drawing, element, line, pieces

WIDTH, HEIGHT, EDGE = 120.0, 28.0, 3.0
_JUDGED = frozenset({"RED", "YELLOW", "GREEN"})


def sparkline(weeks: Sequence[Mapping[str, Any] | None], label: str) -> Markup:
    """
    Draw one score a week, oldest first, on the scale 0 to 100. Weeks without a score are gaps.

    The dot at the end has the colour of the band of the last week.
    """
    points = [_point(place, len(weeks), week) for place, week in enumerate(weeks)]
    inside = [element("path", class_="spark-mid", d=f"M0 {HEIGHT / 2:.0f}H{WIDTH:.0f}")]
    runs = pieces(points)
    if runs:
        inside.append(element("path", class_="spark-line", d="".join(line(run) for run in runs)))
    if points and points[-1] is not None and weeks[-1] is not None:
        x, y = points[-1]
        inside.append(element("circle", class_=f"dot-{str(weeks[-1]['band']).lower()}", cx=x, cy=y, r=2.5))
    return drawing(WIDTH, HEIGHT, label, *inside, class_="spark")


def scores(weeks: Sequence[Mapping[str, Any] | None]) -> list[float]:
    """Return the scores of the weeks that were judged."""
    return [
        week["score"] for week in weeks if week is not None and week["band"] in _JUDGED and week["score"] is not None
    ]


def _point(place: int, count: int, week: Mapping[str, Any] | None) -> Point | None:
    if week is None or week["score"] is None or week["band"] not in _JUDGED:
        return None
    x = EDGE + (WIDTH - 2 * EDGE) * (place / (count - 1) if count > 1 else 1.0)
    return x, EDGE + (HEIGHT - 2 * EDGE) * (1 - min(max(week["score"], 0), 100) / 100)
