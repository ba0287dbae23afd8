"""What forecasts of a loss are compared with, and that the comparison is of the same weeks."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from services.backtest.domain.forecasts import RATE, SHIPPED, by_accounts, by_time, forecast, judge, losses_in
from services.backtest.domain.hazard import Hazard, chances
from tests.support.risk_samples import WEIGHTS, sample, shipped


def test_the_rate_of_losses_is_forecast_from_the_other_part_alone() -> None:
    data = sample(accounts=120)
    split = by_accounts(data)

    found = judge("x", data, {}, shipped(WEIGHTS), split, 0).of(RATE)

    rates = [data.weeks.loss[fitted].mean() for fitted, _ in split]
    assert found.forecast == pytest.approx(sum(rate * told.sum() for rate, (_, told) in zip(rates, split, strict=True)))


def test_a_gain_is_by_how_much_the_log_loss_is_lower() -> None:
    data = sample(accounts=120)
    right = Hazard(-4.0, WEIGHTS)

    found = judge("x", data, {"right": lambda *_: right}, shipped(-WEIGHTS), by_accounts(data), 0)

    right_, rate, other = found.of("right"), found.of(RATE), found.of(SHIPPED)
    assert right_.over_rate.value == pytest.approx(rate.log_loss - right_.log_loss)
    assert right_.over_shipped.value == pytest.approx(other.log_loss - right_.log_loss)
    assert right_.over_shipped.low > 0 > rate.over_rate.value - 1e-9
    assert right_.forecast == pytest.approx(chances(right.log_odds(data.columns)).sum())


def test_parts_with_fits_of_their_own_are_ranked_at_one_level() -> None:
    data = sample(accounts=50)
    split, number = by_accounts(data), count(1)

    found = forecast(data, lambda *_: Hazard(float(next(number)), np.array([1.0, 0.0, 0.0])), split)

    measured = data.columns[:, 0]
    assert found.rank == pytest.approx(measured - measured.mean())
    for part, (_, told) in enumerate(split, 1):
        assert found.log_odds[told] == pytest.approx(measured[told] + part)


def test_losses_are_counted_where_they_start() -> None:
    data = sample(accounts=120)
    ((earlier, later),) = by_time(data)
    weeks, starts = data.weeks, data.starts
    first = weeks.column[later].min()

    assert losses_in(data, [(earlier, later)]) == [
        (int((starts.column <= weeks.column[earlier].max()).sum()), int((starts.column >= first).sum()))
    ]
