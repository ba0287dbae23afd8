"""What the charts share: elements with escaped attributes, and short numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

Point = tuple[float, float]


def short(value: float) -> str:
    """Return a coordinate with one decimal at most."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def element(tag: str, *inside: Markup | str, **attributes: object) -> Markup:
    """Return an element; underscores in names of attributes are hyphens, and `class_` is `class`."""
    # Joined by hand: a page has hundreds of charts, and Markup.format takes five times as long.
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if not inside:
        return Markup(f"<{tag}{given}/>")  # noqa: S704 - each value is escaped
    body = "".join(escape(each) for each in inside)
    return Markup(f"<{tag}{given}>{body}</{tag}>")  # noqa: S704 - each part is escaped


def drawing(width: float, height: float, label: str, *inside: Markup, class_: str, role: str = "img") -> Markup:
    """Return a chart that says what it shows; one with links inside is a `group`."""
    view = f"0 0 {short(width)} {short(height)}"
    return element("svg", *inside, class_=class_, viewBox=view, role=role, aria_label=label)


def line(points: Sequence[Point]) -> str:
    """Return the path through some points."""
    return "".join(f"{'L' if place else 'M'}{short(x)} {short(y)}" for place, (x, y) in enumerate(points))


def area(class_: str, xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Markup:
    """Return what lies between two lines."""
    forth: list[Point] = list(zip(xs, high, strict=True))
    back: list[Point] = list(zip(reversed(xs), reversed(low), strict=True))
    return element("path", class_=class_, d=line([*forth, *back]) + "Z")


def level(y: float, left: float, right: float, class_: str = "grid") -> Markup:
    """Return a line across a chart."""
    return element("path", class_=class_, d=f"M{short(left)} {short(y)}H{short(right)}")


def pieces(points: Iterable[Point | None]) -> list[list[Point]]:
    """Return the unbroken runs of points; a None breaks a run."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if point is not None:
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def nice_top(value: float) -> float:
    """Return a round number not below a value, of which half is round as well."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(step * power for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def _value(value: object) -> str:
    return short(value) if isinstance(value, float) else escape(value)
