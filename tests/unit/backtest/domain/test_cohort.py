"""Measured are the accounts with a valid week and those that are known to be lost, and what was said of them alone."""

from __future__ import annotations

import numpy as np

from services.backtest.domain.cohort import cohort_of
from services.backtest.domain.episodes import Episode
from services.backtest.domain.figures import Said
from tests.support.backtests import FIRST_DAY, at, grid, rows

ACTIVITY = ("6x400", "0x400", "6x1", "6x400")
"""Of `a` to `d`: the two in the middle have no valid week."""


def said(*scored: int) -> Said:
    """Return one signal of each account, and a snapshot of each row in `scored`, whose score is ten times the row."""
    numbers = np.array(scored)
    return Said(
        list("abcd"),
        [Episode(account, "usage_silent", "RISK", ((at(100), 2),)) for account in "abcd"],
        numbers.astype(np.int32),
        np.array([at(50 + place) for place in range(len(scored))], np.int64),
        (numbers * 10).astype(np.int16),
        -numbers / 10,
    )


def test_accounts_without_a_valid_week_are_left_out_with_all_that_was_said_of_them() -> None:
    told, part = cohort_of(said(3, 0, 1, 2, 3), grid(*ACTIVITY), None)

    assert told.accounts == ["a", "d"]
    assert [episode.account for episode in told.episodes] == ["a", "d"]
    assert told.score_account.tolist() == [1, 0, 1]
    assert told.score_at.tolist() == [at(50), at(51), at(54)]
    assert told.score_tenths.tolist() == [30, 0, 30]
    assert told.risk.tolist() == [-0.3, 0, -0.3]
    assert part.activity.tolist() == rows(ACTIVITY[0], ACTIVITY[3]).tolist()


def test_an_account_that_was_lost_is_measured_without_a_valid_week_too() -> None:
    told, part = cohort_of(said(3, 2, 1), grid(*ACTIVITY), {3: FIRST_DAY + 300, 2: FIRST_DAY + 9})

    assert told.accounts == ["a", "c", "d"]
    assert told.score_account.tolist() == [2, 1]
    weeks = part.weeks()
    assert {int(row) for row in weeks.account} == {0, 2}
    assert int(weeks.column[weeks.account == 2].max()) < 300
    assert part.finding(weeks.only(weeks.account == 2))[1].tolist()[0] == 298


def test_of_a_list_without_a_lost_account_those_with_a_valid_week_are_measured_and_nothing_is_a_loss() -> None:
    told, part = cohort_of(said(), grid("6x100 0x300", "0x400"), {})

    assert told.accounts == ["a"]
    assert not part.weeks().loss.any()


def test_the_cohort_keeps_the_days_and_the_least_use_of_its_grid() -> None:
    whole = grid("(1 0 0 0 0 0 0)x60", "6x420", least_base=3.0)

    told, part = cohort_of(said(), whole, None)

    assert told.accounts == ["b"]
    assert (part.first_day, part.least_base) == (FIRST_DAY, 3.0)
