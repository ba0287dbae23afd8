"""
The whole report in text, of a history made by hand: no rule or score of Tidemark has a part in it.

To accept a change: `make golden`, then read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.backtest.measuring import measure, measure_list
from services.backtest.report.contents import Measured, ReportPart, part_of
from services.backtest.report.markdown import markdown
from services.backtest.report.page import page
from services.backtest.words import speech
from tests.support.driven import driven, lost

GOLDEN = Path(__file__).parent
LOST = (lost("acme", 300), lost("umbrella", 280), lost("nobody", 280))


def by_use(language: str = "en") -> ReportPart:
    told = driven()
    return part_of(Measured(told, measure(told, draws=20)), speech(language))


def by_list(language: str = "en") -> ReportPart:
    told = driven(*LOST)
    problems = ("lost.csv, line 7: date is empty",)
    return part_of(Measured(told, measure(told, draws=20), measure_list(told), None, problems), speech(language))


REPORTS = {
    "by_use.md": (by_use, "en"),
    "by_list.md": (by_list, "en"),
    "by_list.pt.md": (by_list, "pt"),
    "by_list.it.md": (by_list, "it"),
}


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_is_word_for_word_what_it_was(name: str) -> None:
    report, language = REPORTS[name]
    text = markdown(speech(language)("title"), ["Made by a test."], [report(language)])

    if os.environ.get("TIDEMARK_GOLDEN") == "renew":
        (GOLDEN / name).write_text(text, "utf-8")
    assert text == (GOLDEN / name).read_text("utf-8")


def test_the_page_says_what_the_text_says_and_needs_nothing_else() -> None:
    part = by_list()
    html = page("Back-test <of a test>", ["Made by a test."], [part], speech("en")).replace("&#39;", "'")

    assert "Back-test &lt;of a test&gt;" in html
    for line in part.headline:
        assert line in html
    for section in part.sections:
        for row in section.table.rows if section.table else ():
            assert all(f"<td>{cell}</td>" in html for cell in row)
    assert html.count("<svg") == 4
    assert "<script" not in html
    assert "src=" not in html
    assert "<link" not in html


def test_the_page_of_equal_figures_is_byte_for_byte_equal() -> None:
    assert page("x", [], [by_use()], speech("en")) == page("x", [], [by_use()], speech("en"))
