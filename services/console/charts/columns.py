"""Counts by hour: as columns with axes, and as small bars in a row of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from services.console.charts.drawing import drawing, element, level, nice_top, short

WIDTH, HEIGHT = 1040.0, 168.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 8.0, 8.0, 22.0
_GRID = 2
_MARKS = 6
BAR_WIDTH, BAR_HEIGHT = 120.0, 24.0


def columns(
    hours: Sequence[str],
    layers: Sequence[tuple[str, Sequence[float]]],
    label: str,
    *,
    amount: Callable[[float], str],
    hour: Callable[[str], str],
) -> Markup:
    """
    Draw a column an hour.

    Args:
        hours: Oldest first.
        layers: Class and counts of each layer, the lowest first.
        label: What it shows, in words.
        amount: Words a count for the axis.
        hour: Words an hour for the axis.
    """
    sums = [sum(counts[place] for _, counts in layers) for place in range(len(hours))]
    top = nice_top(max(sums, default=0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(hours))
    room = HEIGHT - TOP - BOTTOM
    inside: list[Markup] = []
    for line in range(_GRID + 1):
        y = TOP + room * (1 - line / _GRID)
        inside.append(level(y, LEFT, WIDTH - RIGHT))
        inside.append(element("text", amount(top * line / _GRID), class_="axis end", x=LEFT - 6, y=y + 3.5))
    below = [0.0] * len(hours)
    for class_, counts in layers:
        path = ""
        for place, count in enumerate(counts):
            if count:
                x, height = LEFT + step * (place + 0.12), room * count / top
                y = TOP + room * (1 - below[place] / top) - height
                path += f"M{short(x)} {short(y)}h{short(step * 0.76)}v{short(height)}h{short(-step * 0.76)}z"
            below[place] += count
        if path:
            inside.append(element("path", class_=class_, d=path))
    for place in range(0, len(hours), max(1, len(hours) // _MARKS)):
        x = LEFT + step * (place + 0.5)
        inside.append(element("text", hour(hours[place]), class_="axis middle", x=x, y=HEIGHT - 6))
    return drawing(WIDTH, HEIGHT, label, *inside, class_="chart wide")


def bars(counts: Sequence[float], label: str) -> Markup:
    """Draw counts as bars without axes."""
    top = max(counts, default=0) or 1
    step = BAR_WIDTH / max(1, len(counts))
    path = ""
    for place, count in enumerate(counts):
        if count:
            height = max(1.0, (BAR_HEIGHT - 2) * count / top)
            path += f"M{short(step * place)} {short(BAR_HEIGHT)}v{short(-height)}h{short(step * 0.8)}v{short(height)}z"
    return drawing(BAR_WIDTH, BAR_HEIGHT, label, element("path", class_="bar-fill", d=path), class_="spark")
