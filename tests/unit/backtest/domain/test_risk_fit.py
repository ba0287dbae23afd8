"""A fit stands where it forecasts others better than the shipped coefficients and than the rate alone; else it says why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from services.backtest.domain.forecasts import (
    RATE,
    SHIPPED,
    ForecastFigures,
    LossSample,
    SplitFigures,
    by_accounts,
    by_time,
    losses_in,
)
from services.backtest.domain.grid import LATER_DAYS, WEEK, starts_of
from services.backtest.domain.ranking import RankingFigures
from services.backtest.domain.resampling import Interval
from services.backtest.domain.risk_fit import (
    COEFFICIENTS,
    FEWEST_LOSSES,
    LEVEL,
    STRETCH,
    TooFewLossesError,
    fit_risk,
    more_losses,
    objections,
)
from services.backtest.report.risk_fit import too_few
from services.backtest.words import speech
from services.shared.wording import LANGUAGES
from tests.support.risk_samples import WEIGHTS, sample, shipped


def test_coefficients_that_point_elsewhere_are_replaced_by_those_of_the_history() -> None:
    found = fit_risk(sample(), shipped(np.array([0.2, 0.9, 0.0])), draws=10)

    assert found.against == []
    assert found.more is None
    assert found.form == COEFFICIENTS
    assert found.hazard.weights == pytest.approx(WEIGHTS, abs=0.4)
    assert (
        found.other_accounts.of(COEFFICIENTS).ranking.auc.value
        > found.other_accounts.of(SHIPPED).ranking.auc.value + 0.1
    )


def test_good_coefficients_of_a_wrong_level_are_moved_and_keep_their_order() -> None:
    found = fit_risk(sample(accounts=150, level=-7.5), shipped(WEIGHTS / 2), draws=10)

    assert found.against == []
    assert found.losses < 30  # too few for three coefficients
    assert found.form in {LEVEL, STRETCH}
    assert found.hazard.weights / found.hazard.weights[0] == pytest.approx(WEIGHTS / WEIGHTS[0])
    assert found.hazard.weights[0] >= WEIGHTS[0] / 2


def test_what_it_forecasts_happens_about_as_often() -> None:
    found = fit_risk(sample(), shipped(WEIGHTS), draws=10)

    assert sum(group.weeks for group in found.calibration) == found.weeks
    for group in found.calibration[3:]:
        assert group.observed == pytest.approx(group.forecast, rel=0.5, abs=0.01)


@pytest.mark.parametrize("seed", range(6))
def test_losses_by_chance_are_refused_with_the_figures(seed: int) -> None:
    found = fit_risk(sample(weights=np.zeros(3), level=-5.0, seed=seed), shipped(WEIGHTS), draws=10)

    assert found.losses > 100
    assert any(each.kind == f"accounts_{RATE}" and 0 < each.ours < 1 and each.gain for each in found.against)


def test_shipped_coefficients_that_are_right_already_are_not_replaced() -> None:
    data = sample(accounts=300)
    right = fit_risk(data, shipped(WEIGHTS), draws=0).hazard

    found = fit_risk(data, right, draws=10)

    assert any(each.kind in {f"accounts_{SHIPPED}", f"time_{SHIPPED}"} for each in found.against)


SURE = Interval(0.01, 0.001, 0.019)


def forecast_of(
    name: str, log_loss: float, auc: float = 0.8, forecast: float = 10.0, gains: Mapping[str, Interval] | None = None
) -> ForecastFigures:
    known = Interval(auc, auc, auc)
    ranked = RankingFigures(name, known, known, 0.0, 0.0)
    over = {"over_rate": SURE, "over_shipped": SURE, **(gains or {})}
    return ForecastFigures(name, log_loss, over["over_rate"], over["over_shipped"], ranked, forecast)


def splits(
    *, loss_weeks: int = 10, time: float = 0.10, auc: float = 0.8, forecast: float = 10.0, **gains: Interval
) -> tuple[SplitFigures, SplitFigures]:
    """Return other accounts and a later time of a fit of which nothing speaks against it, but for what is given."""
    others = [forecast_of(SHIPPED, 0.11), forecast_of(RATE, 0.12)]
    accounts = [forecast_of(LEVEL, 0.10, auc, gains=gains), *others]
    later = [forecast_of(LEVEL, time, forecast=forecast), *others]
    return (
        SplitFigures("other_accounts", 100, 30, 40, accounts),
        SplitFigures("later_time", 100, 15, loss_weeks, later),
    )


@pytest.mark.parametrize(
    ("given", "against"),
    [
        ({}, []),
        ({"over_rate": Interval(0.01, 0.0, 0.02)}, [f"accounts_{RATE}"]),
        ({"over_rate": Interval(0.01, float("nan"), float("nan"))}, [f"accounts_{RATE}"]),
        ({"over_shipped": Interval(0.01, -0.001, 0.02)}, [f"accounts_{SHIPPED}"]),
        ({"auc": 0.791}, []),
        ({"auc": 0.789}, ["accounts_rank"]),
        ({"time": 0.11}, [f"time_{SHIPPED}"]),
        ({"time": 0.12}, [f"time_{RATE}", f"time_{SHIPPED}"]),
        ({"forecast": 20.0}, []),
        ({"forecast": 20.1}, ["time_calibration"]),
        ({"forecast": 5.0}, []),
        ({"forecast": 4.9}, ["time_calibration"]),
        ({"loss_weeks": 0, "forecast": 1.5}, []),
        ({"loss_weeks": 0, "forecast": 2.5}, ["time_calibration"]),
    ],
)
def test_each_thing_that_a_fit_has_to_show_is_held_against_it_where_it_does_not(given: Any, against: list[str]) -> None:
    assert [each.kind for each in objections(*splits(**given), LEVEL)] == against


def test_a_fit_that_is_better_than_the_rate_in_a_later_time_and_not_than_the_shipped_coefficients_is_refused() -> None:
    accounts, later = splits(time=0.115)

    assert [each.kind for each in objections(accounts, later, LEVEL)] == [f"time_{SHIPPED}"]
    swapped = [each if each.name == LEVEL else forecast_of(each.name, 0.23 - each.log_loss) for each in later.forecasts]
    assert [each.kind for each in objections(accounts, replace(later, forecasts=swapped), LEVEL)] == [f"time_{RATE}"]


@pytest.mark.parametrize(
    ("given", "more"),
    [
        ({"over_rate": Interval(0.01, -0.01, 0.03)}, 90),  # the interval is twice too wide: four times as many losses
        ({"over_shipped": Interval(0.01, -0.01, 0.03)}, 90),
        ({"over_shipped": Interval(0.01, -0.01, 0.03), "over_rate": Interval(0.01, -0.02, 0.04)}, 240),
        ({"over_rate": Interval(0.0, -0.01, 0.01)}, None),
        ({}, None),
    ],
)
def test_how_many_more_losses_are_needed_comes_of_how_unsure_the_gains_are(given: Any, more: int | None) -> None:
    assert more_losses(splits(**given)[0], LEVEL, 30) == more


def test_as_many_losses_as_are_needed_in_both_times_are_enough() -> None:
    data = sample()
    order = np.argsort(data.starts.column, kind="stable")

    def starts(*which: int) -> LossSample:
        places: Any = order[list(which)]
        return LossSample(data.columns, data.scale, data.weeks, data.starts.only(places), data.accounts)

    def lacking(given: LossSample) -> str:
        with pytest.raises(TooFewLossesError) as refused:
            fit_risk(given, shipped(WEIGHTS), draws=0)
        return refused.value.lacking

    assert fit_risk(starts(*range(10), *range(-10, 0)), shipped(WEIGHTS), draws=0).losses == FEWEST_LOSSES
    assert fit_risk(starts(*range(15), *range(-5, 0)), shipped(WEIGHTS), draws=0).losses == FEWEST_LOSSES
    assert lacking(starts(*range(10), *range(-9, 0))) == "losses"
    assert lacking(starts(*range(16), *range(-4, 0))) == "time"
    assert fit_risk(starts(*[*range(5), *range(-5, 0)] * 2), shipped(WEIGHTS), draws=0).losses == FEWEST_LOSSES


def test_it_says_how_many_more_losses_would_show_that_it_is_better() -> None:
    few = fit_risk(
        sample(accounts=120, level=-6.5, weights=0.3 * WEIGHTS, seed=4), shipped(WEIGHTS / 3, -3.0), draws=10
    )

    assert few.against
    assert few.more is not None
    assert 5 < few.more < 100


def test_fewer_losses_than_the_bound_are_refused_with_how_many_more_are_needed() -> None:
    data = sample(accounts=30, level=-6.5)
    losses = len(data.starts)
    assert 0 < losses < FEWEST_LOSSES

    with pytest.raises(TooFewLossesError) as refused:
        fit_risk(data, shipped(WEIGHTS))

    assert (refused.value.lacking, refused.value.counts) == ("losses", {"losses": losses, "needed": 20})
    said = too_few(refused.value, hint=False, say=speech("en"))
    assert said == f"no risk was fitted: {losses} losses can be used, and 20 are needed: {20 - losses} more"


def test_losses_of_too_few_accounts_or_all_at_one_time_are_refused() -> None:
    data = sample()
    first = np.unique(data.starts.account)[:9]
    one_time = abs(data.starts.column - 200) < LATER_DAYS - WEEK

    def starts(which: object) -> LossSample:
        return LossSample(data.columns, data.scale, data.weeks, data.starts.only(np.asarray(which)), data.accounts)

    again = np.concatenate([np.flatnonzero(np.isin(data.starts.account, first))] * 3)
    with pytest.raises(TooFewLossesError) as few:
        fit_risk(starts(again), shipped(WEIGHTS))
    with pytest.raises(TooFewLossesError) as close:
        fit_risk(starts(one_time), shipped(WEIGHTS))

    said = too_few(few.value, hint=False, say=speech("en"))
    assert "all 27 losses are of 9 accounts, and 10 with a loss are needed: 1 more" in said
    assert "losses lie too close together" in too_few(close.value, hint=False, say=speech("en"))


def test_no_account_is_forecast_from_its_own_weeks_and_no_week_from_what_was_not_known_then() -> None:
    data = sample(accounts=80)

    for fitted, told in by_accounts(data):
        assert not set(data.weeks.account[fitted]) & set(data.weeks.account[told])
    ((earlier, later),) = by_time(data)
    assert data.weeks.column[earlier].max() + LATER_DAYS < data.weeks.column[later].min()
    parts = losses_in(data, by_accounts(data))
    assert sum(told for _, told in parts) == len(data.starts)
    assert max(told for _, told in parts) - min(told for _, told in parts) <= 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_lost_accounts_alone_are_refused_with_what_to_give(language: str) -> None:
    """All weeks of accounts that live for some months are within twelve weeks of their loss."""
    every = sample()
    loss = every.weeks.loss
    weeks = every.weeks.only(loss)
    alone = LossSample(every.columns[loss], every.scale, weeks, starts_of(weeks), every.accounts)

    with pytest.raises(TooFewLossesError) as refused:
        fit_risk(alone, shipped(WEIGHTS), draws=2)

    said = too_few(refused.value, False, speech(language))
    assert str(refused.value.counts["losses"]) in said
    assert language != "en" or said.endswith("give the events of all accounts, not of the lost ones alone")
