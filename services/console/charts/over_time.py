"""Panels of values over time: the score in layers that add up to it, use against what was expected, shares of the usual."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple, TypeVar

from markupsafe import Markup

from services.console.charts.drawing import Point, area, element, level, line, nice_top, pieces
from services.console.charts.timeline import LEFT, NUMBERS, RIGHT, WIDTH, Axis, Shade, framed, ground

TOP, BOTTOM = 6.0, 4.0
_LONGEST_STEP_DAYS = 8
"""Quiet accounts are published once a week; with more than this between two days, nothing was published."""


class ScoreStack(NamedTuple):
    """A day's layers, in points; `total` is the score, `None` where it meant nothing."""

    day: date
    layers: Mapping[str, float]
    cut: float
    """What a cap takes away: 0 or less."""
    total: float | None


def stacked(
    axis: Axis, stacks: Sequence[ScoreStack], layers: Sequence[str], label: str, shades: Sequence[Shade]
) -> Markup:
    """Draw the layers of a score from 0 to 100, the first one lowest, and the score as the line that they add up to."""
    height, room = 190.0, 190.0 - TOP - BOTTOM

    def y(points: float) -> float:
        return TOP + room * (1 - min(max(points, 0), 100) / 100)

    inside: list[Markup] = []
    for run in _runs(stacks):
        below = [0.0] * len(run)
        xs = _edges(axis, [each.day for each in run])
        for name in layers:
            upper = [low + each.layers.get(name, 0.0) for low, each in zip(below, run, strict=True)]
            if any(each.layers.get(name) for each in run):
                inside.append(area(f"dim-{name}", xs, [y(v) for v in below], [y(v) for v in upper]))
            below = upper
        if any(each.cut for each in run):
            kept = [full + each.cut for full, each in zip(below, run, strict=True)]
            inside.append(area("dim-cut", xs, [y(v) for v in kept], [y(v) for v in below]))
        points = list(zip(xs, [y(each.total or 0) for each in run], strict=True))
        inside.append(element("path", class_="total-line", d=line(points)))
    inside += ground(axis, TOP, room, shades)  # over the layers, which would hide it
    inside += [level(y(edge), LEFT, WIDTH - RIGHT, "grid edge") for edge in (50, 75)]
    names = [
        element("text", str(edge), class_="axis end", x=LEFT - 8, y=y(edge) + (8 if edge == 100 else 3.5))
        for edge in (0, 50, 75, 100)
    ]
    return framed(height, label, inside, names, gutter=NUMBERS)


class Reading(NamedTuple):
    """A day's value, and the band in which it was expected."""

    day: date
    value: float
    low: float | None
    middle: float | None
    high: float | None


def within_band(
    axis: Axis, readings: Sequence[Reading], label: str, shades: Sequence[Shade], amount: Callable[[float], str]
) -> Markup:
    """Draw values as a line, over the band in which they were expected."""
    height, room = 150.0, 150.0 - TOP - BOTTOM
    most = max((max(each.value, each.high or 0) for each in readings), default=0)
    top = nice_top(most)

    def y(value: float) -> float:
        return TOP + room * (1 - min(value, top) / top)

    inside = ground(axis, TOP, room, shades)
    names: list[Markup] = []
    for value in (0.0, top / 2, top):
        inside.append(level(y(value), LEFT, WIDTH - RIGHT))
        names.append(
            element("text", amount(value), class_="axis end", x=LEFT - 8, y=y(value) + (8 if value == top else 3.5))
        )
    for run in _runs(readings):
        xs = _edges(axis, [each.day for each in run])
        banded = [(x, each) for x, each in zip(xs, run, strict=True) if each.high is not None]
        if banded:
            inside.append(
                area(
                    "band-area",
                    [x for x, _ in banded],
                    [y(e.low or 0) for _, e in banded],
                    [y(e.high or 0) for _, e in banded],
                )
            )
            inside.append(element("path", class_="band-middle", d=line([(x, y(e.middle or 0)) for x, e in banded])))
        inside.append(
            element("path", class_="value-line", d=line([(x, y(e.value)) for x, e in zip(xs, run, strict=True)]))
        )
    return framed(height, label, inside, names, gutter=NUMBERS)


def shares(
    axis: Axis, lines: Sequence[tuple[str, Sequence[tuple[date, float | None]]]], label: str, shades: Sequence[Shade],
    share: Callable[[float], str], held: float,
) -> Markup:  # fmt: skip
    """Draw shares of the usual level, 0 to 1.5; a line marks the level below which rules are held."""
    height, room, top = 84.0, 84.0 - TOP - BOTTOM, 1.5

    def y(value: float) -> float:
        return TOP + room * (1 - min(max(value, 0), top) / top)

    inside = ground(axis, TOP, room, shades)
    names: list[Markup] = []
    for value, class_ in ((0.0, "grid"), (held, "grid edge"), (1.0, "grid")):
        inside.append(level(y(value), LEFT, WIDTH - RIGHT, class_))
        names.append(element("text", share(value), class_="axis end", x=LEFT - 8, y=y(value) + 3.5))
    for class_, values in lines:
        points: list[Point | None] = [None if value is None else (axis.x(day, 1), y(value)) for day, value in values]
        runs = pieces(points)
        if runs:
            inside.append(element("path", class_=class_, d="".join(line(run) for run in runs)))
    return framed(height, label, inside, names, gutter=NUMBERS)


Dated = TypeVar("Dated", ScoreStack, Reading)


def _runs(given: Sequence[Dated]) -> list[list[Dated]]:
    """Return unbroken runs: days that mean nothing, and long gaps, break one."""
    runs: list[list[Dated]] = [[]]
    for each in given:
        if getattr(each, "total", 0.0) is None:
            runs.append([])
            continue
        if runs[-1] and (each.day - runs[-1][-1].day).days > _LONGEST_STEP_DAYS:
            runs.append([])
        runs[-1].append(each)
    return [run for run in runs if run]


def _edges(axis: Axis, days: Sequence[date]) -> list[float]:
    """Return where each day ends; a run of one day is as wide as the day."""
    return [axis.x(day, 1) for day in days]
