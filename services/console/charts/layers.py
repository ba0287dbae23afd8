"""Amounts by band over time, as layers on top of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from services.console.charts.drawing import area, drawing, element, level, nice_top

WIDTH, HEIGHT = 520.0, 168.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 8.0, 8.0, 22.0
_GRID = 2
_LEAST_NAMED = 14.0
"""Height of a layer that has room for its name."""


def layers(
    days: Sequence[str],
    amounts: Mapping[str, Sequence[float]],
    label: str,
    *,
    amount: Callable[[float], str],
    day: Callable[[str], str],
    name: Callable[[str], str],
) -> Markup:
    """
    Draw one layer a band, the first one lowest.

    Args:
        days: One a column, oldest first.
        amounts: By band, one amount for each day.
        label: What it shows, in words.
        amount: Words an amount for the axis.
        day: Words a day for the axis.
        name: Words a band: each layer that is high enough at its end says what it is.
    """
    if len(days) == 1:  # a line of one point is nothing: show it as a level
        days = [*days, *days]
        amounts = {band: [*values, *values] for band, values in amounts.items()}
    sums = [sum(each[place] for each in amounts.values()) for place in range(len(days))]
    top = nice_top(max(sums, default=0))
    xs = [LEFT + (WIDTH - LEFT - RIGHT) * (place / max(1, len(days) - 1)) for place in range(len(days))]

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)

    inside: list[Markup] = []
    for step in range(_GRID + 1):
        value = top * step / _GRID
        inside.append(level(y(value), LEFT, WIDTH - RIGHT))
        inside.append(element("text", amount(value), class_="axis end", x=LEFT - 6, y=y(value) + 3.5))
    names: list[Markup] = []
    below = [0.0] * len(days)
    for band, values in amounts.items():
        upper = [low + value for low, value in zip(below, values, strict=True)]
        if any(values):
            inside.append(area(f"area-{band.lower()}", xs, [y(v) for v in below], [y(v) for v in upper]))
        if y(below[-1]) - y(upper[-1]) >= _LEAST_NAMED:
            middle = (y(below[-1]) + y(upper[-1])) / 2 + 4
            names.append(element("text", name(band), class_="axis end area-name", x=xs[-1] - 6, y=middle))
        below = upper
    for place in _marked(days):
        where = "start" if place == 0 else "end" if place == len(days) - 1 else "middle"
        inside.append(element("text", day(days[place]), class_=f"axis {where}", x=xs[place], y=HEIGHT - 6))
    return drawing(WIDTH, HEIGHT, label, *inside, *names, class_="chart")


def _marked(days: Sequence[str]) -> list[int]:
    """Return the places of the days that the axis names: the first, the middle and the last, each day once."""
    places = sorted({0, len(days) // 2, len(days) - 1}) if days else []
    return list({days[place]: place for place in reversed(places)}.values())
