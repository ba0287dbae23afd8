"""A report as one HTML file that needs nothing else. Needs the extra `backtest` (matplotlib and jinja2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from services.backtest.report.contents import ReportPart
from services.backtest.words import Speech
from services.shared.errors import Fatal

_TEMPLATE = Path(__file__).with_name("page.html.jinja")


def require_page() -> None:
    """
    Make sure that a page can be made, before hours of work.

    Raises:
        Fatal: the packages for it are not installed; says how to install them.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        raise Fatal(
            f"the HTML report needs {error.name}, which is not installed: pip install 'tidemark[backtest]', or leave "
            "--html out for the report in text"
        ) from error


def page(title: str, intro: Sequence[str], parts: Sequence[ReportPart], say: Speech) -> str:
    """Return the whole page, whose parts are in this language already."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    template = environment.from_string(_TEMPLATE.read_text("utf-8"))
    told = [(part, list(_plots(part, say))) for part in parts]
    return template.render(title=title, intro=intro, parts=told, say=say)


def _plots(part: ReportPart, say: Speech) -> Iterator[tuple[str, str]]:
    from services.backtest.report import plots

    if part.against is not None and part.against.calls[0].lost:
        yield say("plot.lead.caption"), plots.lead(part.against.calls, say)
    if not part.figures.weeks:
        return
    if not part.figures.losses:  # nothing is ranked, and no share is above 0
        return
    yield say("plot.recall.caption"), plots.recall_against_false_calls(part.figures, say)
    if not math.isnan(part.figures.ranking[0].auc.value):  # a loss follows on every week
        yield say("plot.ranking.caption"), plots.ranking(part.figures, say)
    yield say("plot.calibration.caption"), plots.calibration(part.figures, say)
