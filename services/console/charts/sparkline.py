"""A score over some weeks, as a line without axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from services.console.charts.drawing import drawing, element, short

WIDTH, HEIGHT, EDGE = 120.0, 28.0, 3.0
_JUDGED = frozenset({"RED", "YELLOW", "GREEN"})


def sparkline(weeks: Sequence[Mapping[str, Any] | None], label: str) -> Markup:
    """
    Draw one score a week, oldest first, on the scale 0 to 100. Weeks without a score are gaps.

    The dot at the end has the colour of the band of the last week.
    """
    inside = [element("path", class_="spark-mid", d=f"M0 {HEIGHT / 2:.0f}H{WIDTH:.0f}")]
    path, pen, end = [], "M", None
    for x, week in zip(_across(len(weeks)), weeks, strict=True):
        if week is None or week["score"] is None or week["band"] not in _JUDGED:
            pen, end = "M", None
            continue
        end = x, _height(week["score"]), str(week["band"]).lower()
        path.append(f"{pen}{x} {end[1]}")
        pen = "L"
    if path:
        inside.append(element("path", class_="spark-line", d="".join(path)))
    if end is not None:
        inside.append(element("circle", class_=f"dot-{end[2]}", cx=end[0], cy=end[1], r=2.5))
    return drawing(WIDTH, HEIGHT, label, *inside, class_="spark")


def scores(weeks: Sequence[Mapping[str, Any] | None]) -> list[float]:
    """Return the scores of the weeks that were judged."""
    return [
        week["score"] for week in weeks if week is not None and week["band"] in _JUDGED and week["score"] is not None
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
