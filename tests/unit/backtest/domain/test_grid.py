"""Which account-weeks count, and which were losses, on series that can be worked out by hand."""

from __future__ import annotations

import numpy as np

from services.backtest.domain.grid import Grid, Points, starts_of
from tests.support.backtests import FIRST_DAY, grid, rows


def points(asked: Grid, *columns: int) -> Points:
    return asked.points(np.zeros(len(columns), np.int64), np.array(columns))


def columns(found: Points) -> list[int]:
    return [int(column) for column in found.column]


def test_a_week_counts_from_eight_weeks_of_age_on() -> None:
    found = points(grid("0x10 1x200"), 10 + 54, 10 + 55)

    assert list(found.valid) == [False, True]


def test_a_week_counts_only_if_the_twelve_after_it_are_known() -> None:
    found = points(grid("1x200"), 200 - 85, 200 - 84)

    assert list(found.valid) == [True, False]


def test_an_account_that_has_been_silent_for_over_eight_weeks_does_not_count() -> None:
    found = points(grid("5x100 0x200"), 99 + 56, 99 + 57)

    assert list(found.valid) == [True, False]


def test_an_account_with_less_than_the_least_base_does_not_count() -> None:
    twice_a_fortnight = grid("(1 0 0 0 0 0 0)x60")

    assert points(twice_a_fortnight, 216).valid.all()
    assert not points(grid("(1 0 0 0 0 0 0)x60", least_base=1.01), 216).valid.any()


def test_the_base_is_the_weekly_mean_of_thirty_weeks_or_of_the_accounts_own() -> None:
    found = points(grid("2x70 4x300"), 69, 70 + 209, 70 + 104)

    assert list(found.base) == [14, 28, (70 * 2 + 105 * 4) / 25]
    assert list(points(grid("9x7 1x203 1x90"), 209).base) == [(63 + 203) / 30]


def test_a_loss_is_twelve_weeks_at_thirty_five_percent_of_the_base() -> None:
    # 12 weeks of 2 a day after 30 of 6 are a third; of 3 a day, half
    assert list(points(grid("6x210 2x90"), 209).loss) == [True]
    assert list(points(grid("6x210 3x90"), 209).loss) == [False]


def test_the_twelve_weeks_begin_on_the_next_day_and_thirty_five_percent_is_enough() -> None:
    # 35 % of 70 a week are 294 in twelve weeks
    assert list(points(grid("10x210 3x83 45 100x50"), 209).loss) == [True]
    assert list(points(grid("10x210 3x83 46 100x50"), 209).loss) == [False]


def test_a_sum_that_reaches_back_beyond_the_history_has_all_of_it_up_to_its_end() -> None:
    asked = grid("1x10 2x10")

    assert list(asked.sum(np.zeros(2, np.int64), np.array([9, 19]), 30)) == [10, 30]


def test_a_stop_is_a_loss_four_weeks_ahead_because_the_rest_of_the_twelve_is_silent() -> None:
    stops = grid("6x240 0x120")

    assert list(points(stops, 239 - 29, 239 - 30).loss) == [True, False]


def test_a_loss_starts_once_however_long_it_lasts() -> None:
    asked = grid("6x240 0x120")
    losses = asked.starts(asked.weeks())

    assert columns(losses) == [216]  # the first Sunday from column 210 on


def test_a_loss_that_comes_back_within_eight_weeks_is_the_same_and_later_is_another() -> None:
    account = np.zeros(4, np.int64)
    column = np.array([100, 156, 213, 220])
    yes = np.ones(4, np.bool_)

    assert columns(starts_of(Points(account, column, yes, np.ones(4), yes, ~yes))) == [100, 213]


def test_with_a_list_of_losses_a_week_is_one_if_the_account_was_lost_in_the_twelve_after_it() -> None:
    found = points(grid("5x300", lost={0: 200}), 115, 116, 199, 200)

    assert list(found.loss) == [False, True, True, True]
    assert list(found.valid) == [True, True, True, False]  # lost accounts are measured no more


def test_a_loss_on_a_list_starts_once_though_weeks_of_silence_lie_within_its_twelve_weeks() -> None:
    """The weeks between the eighth week of silence and a last visit are not valid, and are more than eight."""
    asked = grid("5x300 0x110 5x1 0x189", lost={0: 433})
    weeks = asked.weeks()

    assert columns(weeks.only(weeks.loss)) == [349, 412, 419, 426]
    assert columns(asked.starts(weeks)) == [349]


def test_the_twelve_weeks_after_a_call_count_from_the_morning_on_which_it_is_on_the_list() -> None:
    found = grid("5x300", lost={0: 200}).calls(np.zeros(4, np.int64), np.array([114, 115, 198, 199]))

    assert list(found.loss) == [False, True, True, True]
    assert list(found.valid) == [True, True, True, False]  # on the day of the loss it is too late


def test_an_account_that_never_was_active_has_no_week() -> None:
    assert len(Grid(rows("0x300"), FIRST_DAY).weeks()) == 0


def test_holidays_are_those_around_the_turn_of_the_year() -> None:
    asked = grid("1x400")  # from 1 January 2024, a leap year, on
    days = [int(column) for column in np.flatnonzero(asked.holiday(np.arange(400)))]

    assert days == [*range(9), *range(349, 375)]
