"""The hazard finds the coefficients that made its data, stays near the known ones where there is little, and never runs away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.backtest.domain.grid import Bools, Floats
from services.backtest.domain.hazard import NO_DEVIATION, chances, fit, log_losses

TRUE = np.array([0.8, -1.2, 0.0])
LEVEL = 3.0
FAR = np.array([-1.0, 1.0, 1.0])


def made(rows: int, seed: int = 1) -> tuple[Floats, Bools]:
    """Return rows whose losses come of TRUE; the columns have scales of their own."""
    chance = np.random.default_rng(seed)
    columns = chance.normal(size=(rows, 3)) * (1, 2, 0.5) + (0, 5, -1)
    return columns, chance.random(rows) < chances(LEVEL + columns @ TRUE)


def test_it_finds_the_coefficients_that_made_the_data_from_a_wrong_start() -> None:
    found = fit(*made(200_000), known=FAR)

    assert found.weights == pytest.approx(TRUE, abs=0.05)
    assert found.level == pytest.approx(LEVEL, abs=0.15)


def test_it_forecasts_as_many_losses_as_there_were() -> None:
    columns, loss = made(5_000)

    assert chances(fit(columns, loss, FAR).log_odds(columns)).sum() == pytest.approx(loss.sum(), rel=1e-6)


def test_few_rows_hardly_move_it_from_what_is_known() -> None:
    columns, loss = made(60)

    assert fit(columns, loss, TRUE).weights == pytest.approx(TRUE, abs=0.15)


def test_known_weights_may_be_kept_and_the_level_alone_fitted() -> None:
    columns, loss = made(5_000)

    found = fit(columns, loss, FAR, NO_DEVIATION)

    assert found.weights == pytest.approx(FAR, abs=1e-6)
    assert chances(found.log_odds(columns)).sum() == pytest.approx(loss.sum(), rel=1e-4)


def test_a_column_that_says_everything_or_nothing_does_not_run_away() -> None:
    loss = np.arange(100) < 50
    columns = np.column_stack([loss.astype(float), np.ones(100)])

    found = fit(columns, loss, np.zeros(2))

    assert np.isfinite(found.weights).all()
    assert 0 < found.weights[0] < 20
    assert found.weights[1] == 0


@pytest.mark.parametrize("loss", [np.zeros(5, np.bool_), np.ones(5, np.bool_)])
def test_weeks_of_one_kind_cannot_be_fitted(loss: Bools) -> None:
    with pytest.raises(ValueError, match="with and without"):
        fit(np.zeros((5, 1)), loss, np.zeros(1))


@given(st.floats(-800, 800), st.booleans())
def test_no_log_odds_are_too_great_for_a_chance_or_a_surprise(log_odds: float, lost: bool) -> None:
    one = np.array([log_odds])

    assert 0 <= chances(one)[0] <= 1
    assert np.isfinite(log_losses(one, np.array([lost]))[0])


def test_a_measure_that_counts_for_few_accounts_gets_no_weight_of_its_own_from_them() -> None:
    columns, loss = made(5_000)
    whole = columns[:, 2].copy()
    columns[20:, 2] = 0.0
    loss[:20] = whole[:20] > -1

    by_its_spread = fit(columns, loss, TRUE)
    by_its_scale = fit(columns, loss, TRUE, scale=np.array([1.0, 2.0, whole.std()]))

    assert abs(by_its_spread.weights[2]) > 1.5
    assert by_its_scale.weights[2] == pytest.approx(TRUE[2], abs=0.3)
    assert by_its_scale.weights[:2] == pytest.approx(TRUE[:2], abs=0.15)
