"""Accounts by score and revenue. Each band has a shape of its own beside its colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from services.console.charts.drawing import drawing, element, level, nice_top, short

WIDTH, HEIGHT = 520.0, 168.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 10.0, 8.0, 22.0
LINKED = 60
"""So many of the largest accounts are links with a name; the others are marks alone, which keeps the page small."""
_EDGES = (50, 75)
_FEW_POWERS = 3
_SHAPES: Mapping[str, Callable[[float, float, float], str]] = {
    "RED": lambda x, y, r: f"M{short(x)} {short(y - r)}l{short(r)} {short(r)} {short(-r)} {short(r)} {short(-r)} {short(-r)}z",
    "YELLOW": lambda x, y, r: f"M{short(x)} {short(y - r)}l{short(r)} {short(1.8 * r)}h{short(-2 * r)}z",
    "GREEN": lambda x, y, r: f"M{short(x - r)} {short(y)}a{short(r)} {short(r)} 0 1 0 {short(2 * r)} 0a{short(r)} {short(r)} 0 1 0 {short(-2 * r)} 0z",
}  # fmt: skip


class Mark(NamedTuple):
    """One account of the chart."""

    score: float
    revenue: float
    band: str
    title: str
    address: str
    """Of its page; empty: it is no link."""


def scatter(marks: Sequence[Mark], label: str, *, amount: Callable[[float], str]) -> Markup:
    """
    Draw accounts, largest revenue first: score from left to right, revenue upwards on a scale of powers.

    Args:
        marks: Accounts in a judged band.
        label: What it shows, in words.
        amount: Words an amount for the axis.
    """
    top = nice_top(max((mark.revenue for mark in marks), default=1))
    low = max(1.0, min((mark.revenue for mark in marks if mark.revenue > 0), default=1))
    low = min(10 ** math.floor(math.log10(low)), top / 10)

    def x(score: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(score, 0), 100) / 100

    def y(revenue: float) -> float:
        share = math.log(max(revenue, low) / low) / math.log(top / low)
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)

    inside: list[Markup] = []
    for revenue in _ticks(low, top):
        inside.append(level(y(revenue), LEFT, WIDTH - RIGHT))
        inside.append(element("text", amount(revenue), class_="axis end", x=LEFT - 6, y=y(revenue) + 3.5))
    inside += [
        element("path", class_="grid edge", d=f"M{short(x(edge))} {short(TOP)}V{short(HEIGHT - BOTTOM)}")
        for edge in _EDGES
    ]
    for score, where in ((0, "start"), (50, "middle"), (75, "middle"), (100, "end")):
        inside.append(element("text", str(score), class_=f"axis {where}", x=x(score), y=HEIGHT - 6))
    inside += [_crowd(band, marks[LINKED:], x, y) for band in _SHAPES]
    inside += [_linked(mark, x, y) for mark in reversed(marks[:LINKED]) if mark.band in _SHAPES]
    return drawing(WIDTH, HEIGHT, label, *inside, class_="chart scatter", role="group")


def _ticks(low: float, top: float) -> list[float]:
    """Return powers of ten between two amounts, with three times each where there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(top)) + 1)
    factors = (1, 3) if len(powers) <= _FEW_POWERS else (1,)
    return [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= top]


def _crowd(band: str, marks: Sequence[Mark], x: Any, y: Any) -> Markup:
    path = "".join(f"M{x(m.score):.0f} {y(m.revenue):.0f}h0" for m in marks if m.band == band)
    return element("path", class_=f"crowd-{band.lower()}", d=path) if path else Markup("")


def _linked(mark: Mark, x: Any, y: Any) -> Markup:
    shape = _SHAPES[mark.band](x(mark.score), y(mark.revenue), 4.0)
    drawn = element("path", element("title", mark.title), class_=f"mark-{mark.band.lower()}", d=shape)
    if not mark.address:
        return drawn
    # The list below has every account for the keyboard: sixty more stops before it would be in the way.
    return element("a", drawn, href=mark.address, aria_label=mark.title, tabindex=-1)
