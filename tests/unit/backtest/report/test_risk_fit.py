"""What is said of a fit that does not stand is what speaks against it, and no more."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from services.backtest.domain.resampling import Interval
from services.backtest.domain.risk_fit import Objection, RiskFitFigures, TooFewLossesError, fit_risk
from services.backtest.fitting import RiskFitted
from services.backtest.report.risk_fit import nothing_fitted, refusal, sections, verdict
from services.backtest.words import speech
from services.shared.wording import LANGUAGES
from tests.support.risk_samples import WEIGHTS, sample, shipped

ENGLISH = speech("en")
GAIN = Interval(0.01, -0.01, 0.03)
AGAINST = {
    "accounts_rate": Objection("accounts_rate", 0.41, 0.42, GAIN),
    "accounts_shipped": Objection("accounts_shipped", 0.41, 0.42, GAIN),
    "accounts_rank": Objection("accounts_rank", 0.6, 0.7),
    "time_rate": Objection("time_rate", 0.42, 0.41),
    "time_calibration": Objection("time_calibration", 39.0, 115.0),
}


@cache
def figures() -> RiskFitFigures:
    return fit_risk(sample(accounts=150, level=-5.5), shipped(WEIGHTS), draws=2)


def fitted(*kinds: str, more: int | None = None) -> RiskFitted:
    against = [AGAINST[kind] for kind in kinds]
    return RiskFitted("acme", 19_000, 19_600, "loss", 1.0, replace(figures(), against=against, more=more), {}, 0.0, 56)


def advice(*kinds: str, more: int | None = None) -> str:
    return refusal(fitted(*kinds, more=more).figures, ENGLISH).splitlines()[-1]


def test_the_first_lines_name_what_speaks_against_a_fit_and_nothing_else() -> None:
    said = verdict(fitted("accounts_rate", "time_calibration"), ENGLISH)

    assert "does not surely forecast better than the rate of losses alone (log loss 0.4100 against 0.4200" in said
    assert "in a later time 115 account-weeks were followed by a loss, and the forecast was 39" in said
    assert "shipped" not in said


def test_only_what_fails_in_a_later_time_alone_is_said_to_hold_for_other_accounts() -> None:
    holds = "It holds for other accounts, but not for a later time"

    assert advice("time_rate", more=3).startswith(holds)
    assert not advice("accounts_shipped", "time_rate").startswith(holds)
    assert not advice("accounts_rank").startswith(holds)


def test_use_is_said_to_tell_too_little_only_where_the_rate_alone_is_as_good() -> None:
    too_little = "how an account uses the product says too little"

    assert too_little in advice("accounts_rate")
    assert too_little not in advice("accounts_shipped")
    assert "would make it better than the shipped coefficients" in advice("accounts_shipped")
    assert advice("accounts_rate", more=7).startswith("About 7 more losses")


def test_losses_too_close_together_are_not_told_as_too_few() -> None:
    close = TooFewLossesError("time", losses=27, earlier=25, later=2, needed=5)

    assert nothing_fitted(close, ENGLISH).startswith("No risk was fitted: 27 losses lie too close together")


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_of_a_kind_is_told_as_one(language: str) -> None:
    say = speech(language)
    one_week = replace(fitted("time_calibration"), figures=replace(figures(), weeks=1, accounts=1, losses=1))
    one = Objection("time_calibration", 39.0, 1.0)
    told = [
        *next(iter(sections(one_week, say))).paragraphs,
        nothing_fitted(TooFewLossesError("losses", losses=1, needed=20), say),
        nothing_fitted(TooFewLossesError("accounts", losses=27, accounts=1, needed=10), say),
        verdict(replace(one_week, figures=replace(figures(), losses=1, against=[one])), say),
    ]

    several = (
        "1 active user-days",
        "1 account-weeks",
        "1 losses",
        "1 accounts",
        "1 giorni",
        "1 settimane",
        "1 perdite",
    )
    wrong = (*several, "1 dias", "1 semanas", "1 perdas", "1 contas")
    assert [text for text in told for each in wrong if f" {each}" in f" {text}"] == []
