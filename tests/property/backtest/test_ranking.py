"""Ranking figures against the slow and plain way to compute them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.backtest.domain.grid import Points
from services.backtest.domain.ranking import measure_ranking
from services.backtest.domain.resampling import Resampling

ROWS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60)


def points(losses: list[bool]) -> Points:
    size = len(losses)
    zeros = np.zeros(size, np.int64)
    yes = np.ones(size, np.bool_)
    return Points(zeros, zeros, yes, np.ones(size), np.array(losses), ~yes)


@given(ROWS)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    lost = [risk for risk, loss in rows if loss]
    kept = [risk for risk, loss in rows if not loss]
    assume(lost and kept)
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in lost for b in kept]

    risk = np.array([float(risk) for risk, _ in rows])
    found = measure_ranking("x", risk, points([loss for _, loss in rows]), Resampling(1, 0))

    assert found.auc.value == pytest.approx(sum(pairs) / len(pairs))


@given(ROWS)
def test_average_precision_is_the_mean_precision_at_the_threshold_of_each_loss(rows: list[tuple[int, bool]]) -> None:
    assume(any(loss for _, loss in rows))
    at_each = []
    for risk, loss in rows:
        if loss:
            taken = [other for score, other in rows if score >= risk]
            at_each.append(sum(taken) / len(taken))

    risk_ = np.array([float(risk) for risk, _ in rows])
    found = measure_ranking("x", risk_, points([loss for _, loss in rows]), Resampling(1, 0))

    assert found.average_precision.value == pytest.approx(sum(at_each) / len(at_each))
