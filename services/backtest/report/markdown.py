"""A report as Markdown, aligned so that it reads in a terminal too."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from services.backtest.report.contents import ReportPart, Table

_WIDTH = 120


def markdown(title: str, intro: Sequence[str], parts: Sequence[ReportPart]) -> str:
    """Return the whole report."""
    return "\n".join(_lines(title, intro, parts)).rstrip() + "\n"


def within(parts: Sequence[ReportPart], level: int) -> str:
    """Return the parts alone, for a page that has headings of its own down to the level before this one."""
    return "\n".join(_parts(parts, level)).rstrip()


def _lines(title: str, intro: Sequence[str], parts: Sequence[ReportPart]) -> Iterator[str]:
    yield from _heading(1, title)
    yield from _paragraphs(intro)
    yield from _parts(parts, 2)


def _parts(parts: Sequence[ReportPart], level: int) -> Iterator[str]:
    for part in parts:
        yield from _heading(level, part.name)
        yield from _paragraphs(part.headline)
        for section in part.sections:
            yield from _heading(level + 1, section.title)
            yield from _paragraphs(section.paragraphs)
            if section.table is not None:
                yield from _table(section.table)


def _heading(level: int, text: str) -> Iterable[str]:
    return f"{'#' * level} {text}", ""


def _paragraphs(paragraphs: Sequence[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield from textwrap.wrap(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)
        yield ""


def _table(table: Table) -> Iterator[str]:
    rows = [tuple(" ".join(cell.replace("|", "\\|").splitlines()) for cell in row) for row in (table.head, *table.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.head))]
    for number, row in enumerate(rows):
        cells = (
            cell.ljust(w) if place == 0 else cell.rjust(w)
            for place, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"|{'|'.join('-' * (w + 1) + ('-' if place == 0 else ':') for place, w in enumerate(widths))}|"
    yield ""
