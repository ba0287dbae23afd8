"""A report in another language has nothing left in English, and the same digits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from services.backtest.domain.risk_fit import RiskFitFigures, TooFewLossesError, fit_risk
from services.backtest.fitting import RiskFitted
from services.backtest.measuring import measure, measure_list
from services.backtest.report.contents import Measured, Section, part_of
from services.backtest.report.page import page
from services.backtest.report.risk_fit import refusal, sections, too_few, verdict
from services.backtest.words import speech
from services.shared.wording import LANGUAGES
from tests.support.driven import driven, lost
from tests.support.risk_samples import WEIGHTS, sample, shipped

SAME = re.compile(r"AUC|-|[a-z_]+|six accounts")
"""Texts that are the same in all languages: names, and what has no words."""
OTHERS = [language for language in LANGUAGES if language != "en"]


@cache
def refused() -> RiskFitFigures:
    return fit_risk(sample(weights=np.zeros(3), level=-5.0), shipped(WEIGHTS), draws=5)


def report(language: str) -> list[str]:
    """Return all texts of a report on a list, and of a fit that does not stand."""
    told, say = driven(lost("acme", 300), lost("umbrella", 280), lost("nobody", 280)), speech(language)
    part = part_of(Measured(told, measure(told, draws=5), measure_list(told)), say)
    fitted = RiskFitted("six accounts", 19_000, 19_600, "loss", 1.0, refused(), {}, 0.0, 56)
    return [
        *part.headline,
        verdict(fitted, say),
        *refusal(refused(), say).splitlines(),
        *(text for section in [*part.sections, *sections(fitted, say)] for text in texts(section)),
    ]


def texts(section: Section) -> Iterator[str]:
    yield from (section.title, *section.paragraphs)
    if section.table is not None:
        yield from section.table.head
        yield from (row[0] for row in section.table.rows)


@pytest.mark.parametrize("language", OTHERS)
def test_a_report_has_no_text_left_in_english(language: str) -> None:
    english, other = report("en"), report(language)

    assert len(english) == len(other)
    left = {one for one, same in zip(english, other, strict=True) if one == same and re.search("[a-z]", one)}
    assert {text for text in left if not SAME.fullmatch(text)} == set()


@pytest.mark.parametrize("language", OTHERS)
def test_a_page_names_its_language_and_writes_its_plots_in_it(language: str) -> None:
    told, say = driven(), speech(language)
    html = page("x", [], [part_of(Measured(told, measure(told, draws=5)), say)], say)

    assert f'<html lang="{language}">' in html
    assert say("plot.recall.x") in html
    assert ">0,5</text>" in html
    assert not re.search(r">\d\.\d</text>", html)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_that_can_speak_against_a_fit_has_words(language: str) -> None:
    say = speech(language)
    lacking = [
        TooFewLossesError("losses", losses=3, needed=20),
        TooFewLossesError("accounts", losses=27, accounts=9, needed=10),
        TooFewLossesError("time", losses=27, earlier=25, later=2, needed=5),
    ]

    assert len({too_few(each, hint=True, say=say) for each in lacking}) == 3
    for kind in ("accounts_rate", "accounts_shipped", "accounts_rank", "time_rate", "time_shipped", "time_calibration"):
        assert say(f"fit.against.{kind}", ours="1", other="2", gain="3")


def test_numbers_are_rounded_alike_and_written_as_the_language_does() -> None:
    values = (1234.5, 0.125, 2.675, -0.04)

    assert [speech("en").number(value, 2) for value in values] == ["1,234.50", "0.12", "2.67", "-0.04"]
    assert [speech("it").number(value, 2) for value in values] == ["1.234,50", "0,12", "2,67", "-0,04"]
    assert [speech(language).day(19_000) for language in LANGUAGES] == ["2022-01-08", "08/01/2022", "08/01/2022"]
    assert [speech("pt").cell(float("nan")), speech("it").cell(None)] == ["-", "-"]
    assert speech("it").interval((0.5, float("nan"), float("nan")), 1) == "0,5"
