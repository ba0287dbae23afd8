"""The plainest rules, each on a series on which it can be checked by counting on one's fingers."""

from __future__ import annotations

import numpy as np
import pytest

from services.backtest.domain.alarms import Alarms, alarms_of
from services.backtest.domain.history import AccountOutcome
from services.backtest.domain.naive import NaiveAlarms, scores
from services.backtest.domain.outcomes import count_calls, lost_of
from tests.support.backtests import FIRST_DAY, grid


def stretches(alarms: Alarms) -> list[tuple[int, int]]:
    return [(int(start), int(end)) for start, end in zip(alarms.start, alarms.end, strict=True)]


def test_silence_is_on_from_so_many_days_until_somebody_comes() -> None:
    # the last active day is column 99, so 21 days are over at the end of column 120
    assert stretches(NaiveAlarms(grid("2x100 0x40 2x60")).silent(21)) == [(120, 140)]


def test_no_plain_rule_looks_at_an_account_in_its_first_eight_weeks() -> None:
    young = NaiveAlarms(grid("0x20 2x10 0x40 2x130"))

    assert stretches(young.silent(21)) == []


def test_a_plain_rule_looks_at_an_account_from_the_day_on_which_it_is_eight_weeks_old() -> None:
    # active on the first two days of its life in column 20; silent for 21 days, and then 56 days old in column 75
    assert stretches(NaiveAlarms(grid("0x20 2x2 0x78")).silent(21)) == [(75, 100)]


def test_the_usual_level_of_a_young_account_is_that_of_the_days_on_which_it_was_there() -> None:
    """Of its 56 days the last 28 are held against the 28 before, and not against 30 weeks of which most are empty."""
    young = NaiveAlarms(grid("0x150 10x28 3x28 10x50"))

    assert stretches(young.level(0.31, 0.4)) == [(205, 208)]
    assert stretches(young.level(0.29, 0.4)) == []


def test_an_alarm_that_is_set_on_the_first_day_that_is_looked_at_is_on_from_there() -> None:
    assert stretches(NaiveAlarms(grid("10x28 0x60")).level(0.2, 0.4)) == [(55, 88)]


def test_a_fall_compares_days_with_the_same_number_before() -> None:
    # on with the fifth low day: 4 + 4 and five of 1 are 13, below half of 28; off when the days before are as low:
    # 7 in column 111 is not below half of 4 + 4 and five of 1
    assert stretches(NaiveAlarms(grid("4x100 1x60")).falls(7, 0.5)) == [(104, 111)]


def test_four_weeks_below_a_share_stay_on_until_above_another() -> None:
    alarms = NaiveAlarms(grid("5x238 0x28 1x14 5x120")).level(0.2, 0.4)
    (start, end), *rest = stretches(alarms)

    assert not rest
    assert start == 238 + 22  # 5 of 28 days left are 0.18 of the usual level
    assert 238 + 28 + 14 < end < 238 + 28 + 14 + 28  # not at once, though one a day is more than nothing


def test_silence_is_tuned_to_the_number_of_calls_of_another_alarm() -> None:
    naive = NaiveAlarms(grid("2x100 0x12 2x30 0x25 2x200", "2x150 0x18 2x250"))
    days, alarms = naive.silent_as_often(naive.silent(15))

    assert 13 <= days <= 18
    assert stretches(alarms) == stretches(naive.silent(days))


def test_silence_is_tuned_to_calls_as_a_list_counts_them() -> None:
    # the first is silent again after its loss: that is no call, so what is tuned on all onsets has too few calls
    activity, accounts = grid("2x100 0x12 2x100 0x40 2x200", "2x150 0x20 2x250"), ["a", "b"]
    lost = lost_of([AccountOutcome("a", FIRST_DAY + 200)], accounts, activity)
    naive = NaiveAlarms(activity)
    ours = alarms_of([(0, 108, 112, True), (1, 160, 170, True)])

    days, alarms = naive.silent_as_often(ours, lambda each: count_calls(each, lost, activity))

    assert days == 7
    assert count_calls(alarms, lost, activity) == 2
    assert naive.silent_as_often(ours)[0] == 13


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("days_silent", 9),
        ("weeks_silent", 1),
        ("7_days", -0.5 / (2 * 5 + 0.5)),
        ("30_days", -(2 * 21 + 0.5) / (2 * 30 + 0.5)),
        ("4_weeks", -(2 * 19 + 0.5) / (2 * 28 + 0.5)),
    ],
)
def test_scores_are_higher_where_more_is_at_risk(name: str, expected: float) -> None:
    asked = grid("2x300 0x200")
    weeks = asked.points(np.array([0]), np.array([308]))

    assert scores(asked, weeks)[name][0] == pytest.approx(expected)


@pytest.mark.parametrize("age", [60, 100, 400])
def test_the_days_before_an_account_began_do_not_count_as_days_without_use(age: int) -> None:
    asked = grid(f"0x200 2x{age} 0x100")
    weeks = asked.points(np.array([0]), np.array([200 + age - 1]))

    assert scores(asked, weeks)["4_weeks"][0] == pytest.approx(-1)
