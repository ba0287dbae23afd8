"""Tops and tenths of a list, with scores that are equal."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from services.backtest.domain.grid import Points
from services.backtest.domain.ranking import deciles, measure_ranking, precision_at
from services.backtest.domain.resampling import Resampling


def test_the_top_of_a_list_takes_a_share_of_those_who_tie() -> None:
    lost, kept = np.array([1.0, 2.0, 0.0]), np.array([0.0, 2.0, 5.0])

    assert precision_at(lost, kept, 1) == 1
    assert precision_at(lost, kept, 3) == pytest.approx(2 / 3)  # the first, and two of four of whom half are losses


def test_tenths_are_of_equal_size_and_divide_equal_scores_as_if_by_lot() -> None:
    score = np.array([10.0] * 10 + [90.0] * 10)
    loss = np.array([True] * 5 + [False] * 5 + [False] * 10)

    found = deciles(score, loss)

    assert [(each.lowest, each.weeks, each.losses) for each in found] == [(10, 2, 0.5)] * 5 + [(90, 2, 0)] * 5


def test_fewer_than_ten_scores_are_parts_of_one_each() -> None:
    found = deciles(np.array([50.0, 70.0, 60.0]), np.array([True, False, False]))

    assert [(each.lowest, each.weeks, each.losses) for each in found] == [(50, 1, 1), (60, 1, 0), (70, 1, 0)]


def test_no_scores_have_no_tenths() -> None:
    assert deciles(np.zeros(0), np.zeros(0, np.bool_)) == []


def test_many_different_scores_take_the_memory_of_one_draw_and_not_of_all() -> None:
    rows, accounts = 20_000, 100
    place = np.arange(rows)
    yes = np.ones(rows, np.bool_)
    weeks = Points(place % accounts, place // accounts, yes, np.ones(rows), place % 7 == 0, ~yes)
    resampling = Resampling(accounts, 200)

    tracemalloc.start()
    try:
        measure_ranking("x", place.astype(np.float64), weeks, resampling)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 100 * rows * 8  # the counts of all draws are 400 numbers for each row
