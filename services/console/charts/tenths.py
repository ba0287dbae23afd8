"""The tenth of an account by risk, as ten small bars of which the more are full the riskier it is."""

from __future__ import annotations

from functools import lru_cache

from markupsafe import Markup

from services.console.charts.drawing import element

_TENTHS = 10
_BAR, _STEP, _HEIGHT = 3, 4, 11


@lru_cache(maxsize=16)  # ten pictures, which a list has sixty times
def tenths(tenth: int) -> Markup:
    """
    Draw a tenth.

    Args:
        tenth: 1 for the riskiest to 10; the words beside the picture say it as well.
    """
    full = _TENTHS + 1 - tenth
    kind = "high" if tenth == 1 else "some" if tenth <= _TENTHS // 3 else "low"
    return element(
        "svg",
        element("path", class_="tenth-none", d=_bars(full, _TENTHS)),
        element("path", class_=f"tenth-{kind}", d=_bars(0, full)),
        class_="tenths", viewBox=f"0 0 {_TENTHS * _STEP - 1} {_HEIGHT}", aria_hidden="true",
    )  # fmt: skip


def _bars(first: int, end: int) -> str:
    return "".join(f"M{place * _STEP} 0h{_BAR}v{_HEIGHT}h-{_BAR}z" for place in range(first, end))
