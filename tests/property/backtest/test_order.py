"""Nothing depends on the order of accounts."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.domain.episodes import Episode
from services.backtest.domain.figures import Said, figures
from services.backtest.domain.grid import Grid
from tests.support.backtests import FIRST_DAY, at
from tests.support.examples import examples

DAYS = 300
RULES = frozenset({"usage_silent", "usage_decline"})


@given(st.integers(0, 2**32 - 1), st.permutations(range(6)))
@settings(max_examples=examples(8), deadline=None)
def test_shuffling_the_accounts_changes_nothing(seed: int, order: list[int]) -> None:
    chance = np.random.default_rng(seed)
    activity = chance.poisson(chance.uniform(0, 2, (6, 1)) * (np.arange(DAYS) < chance.integers(150, 400, (6, 1))))
    names = [f"account-{number}" for number in range(6)]
    episodes = [
        Episode(names[row], rule, "RISK", ((at(start), 2), (at(start + 5), 3)), at(start + 20), "recovered")
        for row, start, rule in zip(
            chance.integers(0, 6, 12),
            np.sort(chance.integers(60, 250, 12)),
            ["usage_silent", "usage_decline"] * 6,
            strict=True,
        )
    ]
    snapshots = [(row, at(day), int(chance.integers(0, 1000))) for row in range(6) for day in range(0, DAYS, 5)]

    as_it_is = measured(activity, names, episodes, snapshots)
    place = {row: new for new, row in enumerate(order)}
    shuffled = measured(
        activity[order], [names[row] for row in order], episodes, [(place[row], when, s) for row, when, s in snapshots]
    )

    assert same(as_it_is, shuffled)


def measured(activity: Any, names: list[str], episodes: list[Episode], snapshots: list[tuple[int, int, int]]) -> Any:
    columns = np.array(snapshots).T
    said = Said(names, episodes, columns[0].astype(np.int32), columns[1], columns[2].astype(np.int16), columns[2] / 100)
    return asdict(figures("x", said, Grid(activity.astype(np.uint16), FIRST_DAY, least_base=0.5), rules=RULES, draws=0))


def same(one: Any, other: Any) -> bool:
    """Compare figures; not a number is the same as not a number."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)
