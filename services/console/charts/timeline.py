"""The time axis that all panels of an account share, and what is drawn behind each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from services.console.charts.drawing import drawing, element, short

WIDTH, LEFT, RIGHT = 1080.0, 168.0, 16.0
NUMBERS = 56.0
"""How wide the numbers of an axis are."""
_WEEK = 7
_LEAST_MONTH = 24
"""A month that begins so near to the right edge has no room for its name."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Days from left to right."""

    first: date
    last: date

    def x(self, day: date, within: float = 0.5) -> float:
        """Return where a day lies, 0 to 1 `within` it; days before the first lie on the edge."""
        days = (self.last - self.first).days + 1
        place = min(max((day - self.first).days + within, 0.0), float(days))
        return LEFT + (WIDTH - LEFT - RIGHT) * place / days

    def months(self) -> list[date]:
        """Return the first days of the months within."""
        found: list[date] = []
        year, month = self.first.year, self.first.month
        while True:
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
            day = date(year, month, 1)
            if day > self.last:
                return found
            found.append(day)

    def weeks(self) -> list[date]:
        """Return the last day of each week, counted back from the last day of all."""
        ends = range(self.last.toordinal(), self.first.toordinal() - 1, -_WEEK)
        return [date.fromordinal(each) for each in reversed(ends)]


@dataclass(frozen=True, slots=True)
class Shade:
    """Days that are not like others, drawn behind every panel."""

    kind: str
    """`quiet`: all customers are. `away`: the account has a holiday or a planned absence."""
    first: date
    last: date


def ground(axis: Axis, top: float, height: float, shades: Sequence[Shade]) -> list[Markup]:
    """Return the shades and the lines of the months, for one panel."""
    drawn = []
    for shade in shades:
        x = axis.x(shade.first, 0)
        width = max(2.0, axis.x(shade.last, 1) - x)
        drawn.append(element("rect", class_=f"shade-{shade.kind}", x=x, y=top, width=width, height=height))
    lines = "".join(f"M{short(axis.x(month, 0))} {short(top)}v{short(height)}" for month in axis.months())
    if lines:
        drawn.append(element("path", class_="grid month", d=lines))
    return drawn


def framed(
    height: float, label: str, inside: Sequence[Markup], names: Sequence[Markup], *, gutter: float = LEFT
) -> Markup:
    """
    Return a panel, and its names once more in a picture of their own, which stays in sight where the panel is scrolled.

    Args:
        height: In units of the chart.
        label: What it shows, in words.
        inside: What is drawn.
        names: What stands left of it.
        gutter: How wide the names are.
    """
    chart = drawing(WIDTH, height, label, *inside, *names, class_="chart line")
    view = f"{short(LEFT - gutter)} 0 {short(gutter)} {short(height)}"
    class_ = "gutter" if gutter == LEFT else "gutter slim"
    return element("div", chart, element("svg", *names, class_=class_, viewBox=view, aria_hidden="true"), class_="plot")


def ruler(axis: Axis, label: str, *, month: Callable[[date], str], week: Callable[[date], tuple[str, str]]) -> Markup:
    """
    Draw the axis itself, with a link for each week.

    Args:
        axis: The days.
        label: What it is, in words.
        month: Words a month.
        week: Address and title of what was known at the end of a day.
    """
    height = 34.0
    inside: list[Markup] = []
    ends = axis.weeks()
    for end in ends:
        start = date.fromordinal(max(axis.first.toordinal(), end.toordinal() - _WEEK + 1))
        x = axis.x(start, 0)
        address, title = week(end)
        rect = element(
            "rect", element("title", title), x=x, y=0, width=axis.x(end, 1) - x - 1, height=14, rx=2, class_="week"
        )
        # One stop for the keyboard, from which the arrow keys go on: thirty in a row would be in everybody's way.
        inside.append(element("a", rect, href=address, aria_label=title, tabindex=0 if end == ends[-1] else -1))
    inside += [
        element("text", month(day), class_="axis", x=axis.x(day, 0) + 3, y=29)
        for day in axis.months()
        if axis.x(day, 0) < WIDTH - RIGHT - _LEAST_MONTH
    ]
    return element(
        "svg", *inside, class_="chart line ruler", viewBox=f"0 0 {short(WIDTH)} {short(height)}", role="group", aria_label=label
    )  # fmt: skip
