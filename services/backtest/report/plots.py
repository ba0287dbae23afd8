"""The plots of a report, as SVG to be put into a page. Needs the extra `backtest` (matplotlib)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import cycle

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from services.backtest.domain.figures import BacktestFigures, is_ours
from services.backtest.domain.outcomes import Calls
from services.backtest.domain.resampling import Interval
from services.backtest.report.contents import digits_of, range_of
from services.backtest.words import Speech

OURS, OTHERS = "#0b6e4f", "#8a8f98"
_WIDE, _HIGH = 8.4, 3.4


def recall_against_false_calls(figures: BacktestFigures, say: Speech) -> str:
    """Draw what each alarm finds against what it costs."""
    drawing, axes = _axes(say, say("plot.recall.x"), say("plot.recall.y"))
    for alarm, marker in zip(figures.alarms, cycle("os^vD<>PX*"), strict=False):
        if math.isnan(alarm.recall.value) or math.isnan(alarm.false.value):
            continue
        axes.errorbar(
            alarm.false.value,
            alarm.recall.value,
            xerr=_bars(alarm.false),
            yerr=_bars(alarm.recall),
            fmt=marker,
            color=OURS if is_ours(alarm.name) else OTHERS,
            linewidth=0.6,
            label=say.named("alarm", alarm.name),
        )
    axes.set_ylim(0, 1.03)
    axes.set_xlim(left=0)
    drawing.legend(loc="outside right upper", fontsize=7, frameon=False)
    return _svg(drawing)


def ranking(figures: BacktestFigures, say: Speech) -> str:
    """Draw the AUC of each score."""
    drawing, axes = _axes(say, say("plot.ranking.x"), "")
    for place, each in enumerate(reversed(figures.ranking)):
        color = OURS if is_ours(each.name) else OTHERS
        axes.errorbar(each.auc.value, place, xerr=_bars(each.auc), fmt="o", color=color)
    names = [say.named("score", each.name) for each in reversed(figures.ranking)]
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.axvline(0.5, color=OTHERS, linewidth=0.6, linestyle=":")
    return _svg(drawing)


def calibration(figures: BacktestFigures, say: Speech) -> str:
    """Draw how many account-weeks of each tenth by health score were followed by a loss."""
    drawing, axes = _axes(say, say("plot.calibration.x"), say("plot.calibration.y"))
    names = [range_of(each, say) for each in figures.calibration]
    digits = digits_of(figures.base_rate)
    last = 100 * 10**digits  # of the last digit that is written a tick has a whole number, so that no two are the same
    axes.bar(range(len(names)), [last * each.losses for each in figures.calibration], color=OURS)
    axes.set_xticks(range(len(names)), names, fontsize=7)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(lambda shown, _: say.percent(shown / last, digits))
    axes.axhline(last * figures.base_rate, color=OTHERS, linewidth=0.8, linestyle=":")
    return _svg(drawing)


def lead(calls: Sequence[Calls], say: Speech) -> str:
    """Draw how many of the lost accounts were flagged so many days before, or earlier."""
    drawing, axes = _axes(say, say("plot.lead.x"), say("plot.lead.y"))
    for each in calls:
        ours = is_ours(each.name)
        longest = max((each.leads[-1] for each in calls if each.leads), default=0) + 1
        days = [longest, *reversed(each.leads), 0]
        count = [0, *range(1, len(each.leads) + 1), len(each.leads)]
        axes.step(
            days,
            count,
            where="post",
            color=OURS if ours else None,
            linewidth=2 if ours else 0.8,
            label=say.named("alarm", each.name),
        )
    axes.invert_xaxis()
    axes.set_ylim(0, calls[0].lost * 1.03)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    drawing.legend(loc="outside right upper", fontsize=7, frameon=False)
    return _svg(drawing)


def _axes(say: Speech, x: str, y: str) -> tuple[Figure, Axes]:
    drawing = Figure(figsize=(_WIDE, _HIGH), layout="constrained")
    axes = drawing.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_Ticks(say.decimal))
    axes.spines[["top", "right"]].set_visible(False)
    return drawing, axes


class _Ticks(ScalarFormatter):
    """Numbers along an axis, as a language writes them."""

    def __init__(self, decimal: str) -> None:
        super().__init__()
        self._decimal = decimal

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the number at one tick."""
        return super().__call__(x, pos).replace(".", self._decimal)


def _bars(interval: Interval) -> list[list[float]] | None:
    if math.isnan(interval.low):
        return None
    return [[max(0.0, interval.value - interval.low)], [max(0.0, interval.high - interval.value)]]


def _svg(drawing: Figure) -> str:
    """Return an SVG element: equal for equal figures, and text as text."""
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "tidemark", "svg.fonttype": "none", "font.family": "sans-serif"}):
        drawing.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
