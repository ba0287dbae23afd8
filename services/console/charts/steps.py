"""One step of a waterfall, as the bar in its row of a table: the table says the same in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from services.console.charts.drawing import element, short

WIDTH, HEIGHT = 400.0, 24.0
_LEAST = 1.5


def step(
    begins: float,
    ends: float,
    kind: str,
    scale: tuple[float, float] = (0, 100),
    marks: Sequence[float] = (0, 50, 75, 100),
) -> Markup:
    """
    Draw a bar from one value to another.

    Args:
        begins: Value before.
        ends: Value after; the next row goes on from here.
        kind: `up`, `down`, or `total`.
        scale: Values at the left and at the right edge.
        marks: Values at which lines stand.
    """

    def x(value: float) -> float:
        least, most = scale
        return 1 + (WIDTH - 2) * min(max((value - least) / ((most - least) or 1), 0), 1)

    low, high = sorted((x(begins), x(ends)))
    lines = "".join(f"M{short(x(edge))} 0V{short(HEIGHT)}" for edge in marks)
    inside = [
        element("path", class_="grid", d=lines),
        element("rect", class_=f"step-{kind}", x=low, y=5, width=max(_LEAST, high - low), height=HEIGHT - 10, rx=2),
        element("path", class_="step-on", d=f"M{short(x(ends))} {short(HEIGHT - 5)}V{short(HEIGHT)}"),
    ]
    return element(
        "svg", *inside, class_="step", viewBox=f"0 0 {short(WIDTH)} {short(HEIGHT)}", preserveAspectRatio="none", aria_hidden="true"
    )  # fmt: skip
