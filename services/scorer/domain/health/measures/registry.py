"""Which function computes which measure: the name of the function is the name of the measure."""

from __future__ import annotations

from collections.abc import Callable

from services.scorer.domain.health.known import Known
from services.scorer.domain.health.trend import WINDOWS, Window

Function = Callable[[Known], float | None]
"""Returns the value; None: it is not known. Evidence and freshness that the record asks for are checked in measuring.py."""

FUNCTIONS: dict[str, Function] = {}


def measure(function: Function) -> Function:
    """Register a function as the one that computes the measure of its name."""
    FUNCTIONS[function.__name__] = function
    return function


def measure_per_window(function: Callable[[Window], float]) -> Callable[[Window], float]:
    """Register a function for three measures, one a window: its name with `_1w`, `_2w` or `_4w` behind it."""
    for index, weeks in enumerate(WINDOWS):
        FUNCTIONS[f"{function.__name__}_{weeks}w"] = _of_window(function, index)
    return function


def _of_window(function: Callable[[Window], float], index: int) -> Function:
    return lambda known: function(known.usage.windows[index])
