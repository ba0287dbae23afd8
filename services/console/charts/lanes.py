"""Panels of things that last or happen: people, signals, tickets, what was recorded. One lane for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from markupsafe import Markup

from services.console.charts.drawing import element, level, short
from services.console.charts.timeline import LEFT, RIGHT, WIDTH, Axis, Shade, framed, ground

LANE = 22.0
_LONGEST_NAME = 19  # as many as fit beside the lanes on a narrow screen, where letters are larger
_SHAPES = {
    "dot": "M{x} {y}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "square": "M{x} {y}m-4-4h8v8h-8z",
    "diamond": "M{x} {y}m0-5.5l5.5 5.5-5.5 5.5-5.5-5.5z",
    "flag": "M{x} {y}m-1 6v-12h7l-2 3 2 3h-5v6z",
    "up": "M{x} {y}m0-5l5 8.5h-10z",
    "down": "M{x} {y}m0 5l5-8.5h-10z",
    "octagon": "M{x} {y}m-2.5-6h5l3.5 3.5v5l-3.5 3.5h-5l-3.5-3.5v-5z",
    "ring": "M{x} {y}m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0m2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0",
}


class Bar(NamedTuple):
    """Something that lasts. `last` is None while it goes on."""

    first: date
    last: date | None
    class_: str
    title: str


class LaneMark(NamedTuple):
    """Something that happened on a day. `text` stands beside it, in a character or two."""

    day: date
    shape: str
    class_: str
    title: str
    text: str = ""


class ChartLane(NamedTuple):
    """What lies on one line."""

    name: str
    bars: Sequence[Bar] = ()
    marks: Sequence[LaneMark] = ()
    class_: str = ""


def lanes(axis: Axis, given: Sequence[ChartLane], label: str, shades: Sequence[Shade]) -> Markup:
    """Draw lanes below each other, each with its name at the left."""
    height = LANE * max(1, len(given)) + 4
    inside = ground(axis, 2, height - 4, shades)
    names: list[Markup] = []
    for place, lane in enumerate(given):
        middle = 2 + LANE * (place + 0.5)
        inside.append(level(middle, LEFT, WIDTH - RIGHT))
        name = shortened(lane.name, _LONGEST_NAME)
        names.append(
            element(
                "text",
                name,
                element("title", shortened(lane.name, 200)),
                class_=f"axis end lane-name {lane.class_}".strip(),
                x=LEFT - 8,
                y=middle + 4,
            )
        )
        inside += [_bar(axis, bar, middle) for bar in lane.bars]
        inside += [_mark(axis, mark, middle) for mark in lane.marks if axis.first <= mark.day <= axis.last]
    return framed(height, label, inside, names)


def shortened(text: str, most: int) -> str:
    """Return a text of so many characters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _bar(axis: Axis, bar: Bar, middle: float) -> Markup:
    end = axis.last if bar.last is None else bar.last
    if end < axis.first or bar.first > axis.last:
        return Markup("")
    x = axis.x(bar.first, 0)
    width = max(3.0, axis.x(end, 1) - x)
    return element(
        "rect", element("title", bar.title), class_=bar.class_, x=x, y=middle - 5, width=width, height=10, rx=3
    )


def _mark(axis: Axis, mark: LaneMark, middle: float) -> Markup:
    x = axis.x(mark.day)
    drawn = element(
        "path",
        element("title", mark.title),
        class_=mark.class_,
        d=_SHAPES[mark.shape].format(x=short(x), y=short(middle)),
    )
    if not mark.text:
        return drawn
    return drawn + element("text", mark.text, class_="axis mark-text", x=x + 7, y=middle + 4)
