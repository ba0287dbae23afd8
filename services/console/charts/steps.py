"""One step of a waterfall, as the bar in its row of a table: the table says the same in numbers."""

from __future__ import annotations

from markupsafe import Markup

from services.console.charts.drawing import element, short

WIDTH, HEIGHT = 400.0, 24.0
_LEAST = 1.5


def step(begins: float, ends: float, kind: str) -> Markup:
    """
    Draw a bar from one number of points to another, on the scale 0 to 100.

    Args:
        begins: Points before.
        ends: Points after; the next row goes on from here.
        kind: `up`, `down`, or `total`.
    """
    low, high = sorted((_x(begins), _x(ends)))
    marks = "".join(f"M{short(_x(edge))} 0V{short(HEIGHT)}" for edge in (0, 50, 75, 100))
    inside = [
        element("path", class_="grid", d=marks),
        element("rect", class_=f"step-{kind}", x=low, y=5, width=max(_LEAST, high - low), height=HEIGHT - 10, rx=2),
        element("path", class_="step-on", d=f"M{short(_x(ends))} {short(HEIGHT - 5)}V{short(HEIGHT)}"),
    ]
    return element(
        "svg", *inside, class_="step", viewBox=f"0 0 {short(WIDTH)} {short(HEIGHT)}", preserveAspectRatio="none", aria_hidden="true"
    )  # fmt: skip


def _x(points: float) -> float:
    return 1 + (WIDTH - 2) * min(max(points, 0), 100) / 100
