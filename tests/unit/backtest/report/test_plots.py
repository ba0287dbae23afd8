"""Plots tell figures as the tables below them do."""

from __future__ import annotations

import re

import pytest

from services.backtest.measuring import measure
from services.backtest.report.contents import Measured, part_of
from services.backtest.report.plots import calibration
from services.backtest.words import speech
from services.shared.wording import LANGUAGES
from tests.support.driven import driven


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
