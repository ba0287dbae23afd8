"""Plots tell figures as the tables below them do."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from services.backtest.domain.history import AccountOutcome
from services.backtest.measuring import measure, measure_list
from services.backtest.report.contents import Measured, ReportPart, part_of
from services.backtest.report.page import page
from services.backtest.report.plots import calibration, lead
from services.backtest.words import speech
from services.shared.wording import LANGUAGES
from tests.support.driven import driven, lost


@pytest.mark.parametrize("language", LANGUAGES)
def test_losses_by_health_score_are_in_per_cent_and_by_the_ranges_of_the_table(language: str) -> None:
    told, say = driven(), speech(language)
    part = part_of(Measured(told, measure(told, draws=0)), say)
    table = next(each.table for each in part.sections if each.title == say("calibration.title"))
    assert table is not None

    texts = re.findall(r">([^<>]+)</text>", calibration(part.figures, say))

    ranges = [row[0] for row in table.rows]
    assert texts[: len(ranges)] == ranges
    shares = [text for text in texts[len(ranges) :] if re.match(r"\d", text)]
    assert len(shares) > 2
    assert all(re.fullmatch(r"\d+ %", text) for text in shares)


def listed(*outcomes: AccountOutcome) -> ReportPart:
    told = driven(*outcomes)
    return part_of(Measured(told, measure(told, draws=0), measure_list(told)), speech("en"))


def ticks(svg: str, form: str) -> list[str]:
    return [text for text in re.findall(r">([^<>]+)</text>", svg) if re.fullmatch(form, text)]


def test_lost_accounts_are_whole_ones_on_the_axis_however_few_they_are() -> None:
    part = listed(lost("acme", 300))
    assert part.against is not None

    assert ticks(lead(part.against.calls, speech("en")), r"[01]([.]\d+)?")[-2:] == ["0", "1"]


def test_few_losses_are_told_with_the_digits_that_they_need() -> None:
    told = replace(driven(), outcomes=(lost("umbrella", 280),))
    figures = replace(measure(told, draws=0), base_rate=0.004)
    figures = replace(figures, calibration=[replace(each, losses=0.004) for each in figures.calibration])
    part = part_of(Measured(told, figures), speech("en"))
    texts = [text for section in part.sections for text in section.paragraphs]

    assert any("It follows on 0.4 % of the account-weeks" in text for text in texts)
    assert any("in any order it is about 0.004." in text for text in texts)
    table = next(each.table for each in part.sections if each.title == "Losses by health score")
    assert table is not None
    assert {row[-1] for row in table.rows} == {"0.4 %"}
    shares = ticks(calibration(figures, speech("en")), r".*\d %")
    assert len(set(shares)) == len(shares) > 2


def test_a_page_draws_nothing_of_which_no_figure_is_known() -> None:
    """Without a loss no list is ranked; where a loss follows on every week neither."""
    told = listed(lost("umbrella", 280))
    none = replace(told, figures=replace(told.figures, losses=0, base_rate=0.0))
    unknown = [replace(each, auc=each.auc._replace(value=float("nan"))) for each in told.figures.ranking]
    every = replace(told, figures=replace(told.figures, base_rate=1.0, ranking=unknown))

    assert [page("x", [], [part], speech("en")).count("<svg") for part in (told, none, every)] == [4, 1, 3]
