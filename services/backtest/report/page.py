"""A report as one HTML file that needs nothing else. Needs the extra `backtest` (matplotlib and jinja2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from services.backtest.report.contents import ReportPart
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


def page(title: str, intro: Sequence[str], parts: Sequence[ReportPart]) -> str:
    """Return the whole page."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    template = environment.from_string(_TEMPLATE.read_text("utf-8"))
    return template.render(title=title, intro=intro, parts=[(part, list(_plots(part))) for part in parts])


def _plots(part: ReportPart) -> Iterator[tuple[str, str]]:
    from services.backtest.report import plots

    if part.against is not None and part.against.calls[0].lost:
        yield "How early lost accounts were flagged.", plots.lead(part.against.calls)
    if not part.figures.weeks:
        return
    if part.figures.losses:
        caption = "What each alarm finds, and what it costs; up and to the left is better. Bars: 95 % intervals."
        yield caption, plots.recall_against_false_calls(part.figures)
    yield "How well each score ranks account-weeks; 0.5 is chance.", plots.ranking(part.figures)
    yield "Losses by tenths of the health score; dotted: all.", plots.calibration(part.figures)
