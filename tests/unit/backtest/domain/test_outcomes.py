"""A list of lost accounts: who was flagged, how early, and which calls were in vain."""

from __future__ import annotations

import math

from services.backtest.domain.alarms import alarms_of
from services.backtest.domain.history import AccountOutcome, lost_without_day
from services.backtest.domain.naive import NaiveAlarms
from services.backtest.domain.outcomes import Calls, lost_of, measure_calls
from tests.support.backtests import FIRST_DAY, grid

ACCOUNTS = ["a", "b", "c"]
GRID = grid("5x500", "5x500", "5x500")


def lost(**columns: int) -> list[AccountOutcome]:
    return [AccountOutcome(account, FIRST_DAY + column) for account, column in columns.items()]


def calls(stretches: list[tuple[int, int, int, bool]], **columns: int) -> Calls:
    return measure_calls("x", alarms_of(stretches), lost_of(lost(**columns), ACCOUNTS, GRID), ACCOUNTS, GRID)


def test_an_account_is_flagged_if_the_alarm_was_on_in_the_twelve_weeks_before() -> None:
    found = calls([(0, 269, 280, True), (1, 100, 190, True)], a=300, b=300, c=300)

    assert (found.lost, found.flagged) == (3, 1)
    assert found.accounts == (("a", FIRST_DAY + 300, 30), ("b", FIRST_DAY + 300, None), ("c", FIRST_DAY + 300, None))
    assert found.lead_days == 30  # the alarm is on the list in the morning of the next day


def test_an_alarm_that_comes_on_the_day_of_the_loss_or_later_is_too_late() -> None:
    assert calls([(0, 298, 400, False)], a=300).leads == [1]
    assert calls([(0, 299, 400, False)], a=300).flagged == 0


def test_an_alarm_that_has_been_on_for_long_counts_from_when_it_came() -> None:
    assert calls([(0, 149, 400, False)], a=300).leads == [150]


def test_of_several_alarms_before_a_loss_the_first_that_lasted_into_the_twelve_weeks_flags_it() -> None:
    assert calls([(0, 100, 110, True), (0, 200, 230, True), (0, 290, 400, False)], a=300).leads == [99]


def test_a_loss_on_the_day_after_the_history_can_be_judged_and_one_of_later_cannot() -> None:
    last, later = calls([(0, 450, 500, False)], a=500), calls([(0, 450, 500, False)], a=501)

    assert (last.lost, last.leads, later.lost) == (1, [49], 0)


def test_a_loss_can_be_judged_from_eight_weeks_after_the_first_activity_on() -> None:
    asked = grid("0x10 5x490", "0x10 5x490", "0x10 5x490")
    found = lost_of(lost(a=10 + 56, b=10 + 55, c=10), ACCOUNTS, asked)

    assert dict(found.columns) == {0: 66}
    assert found.left_out == [("c", "before"), ("b", "too_early")]


def test_calls_count_from_when_the_history_is_eight_weeks_old_on() -> None:
    assert [calls([(0, start, start + 5, True)]).calls for start in (55, 56)] == [0, 1]


def test_a_history_too_short_to_know_what_followed_has_no_week_in_which_calls_count() -> None:
    short = grid("5x70")
    found = measure_calls("x", alarms_of([(0, 60, 65, True)]), lost_of([], ["a"], short), ["a"], short)

    assert (found.weeks, found.calls) == (0, 0)
    assert math.isnan(found.in_vain_a_week)


def test_a_call_is_in_vain_if_the_account_is_not_lost_within_twelve_weeks() -> None:
    found = calls([(0, 216, 217, True), (1, 214, 215, True), (2, 200, 210, True)], a=300, b=300)

    assert (found.calls, found.in_vain) == (3, 2)
    assert math.isclose(found.in_vain_a_week, 2 / ((500 - 84 - 56) / 7))


def test_a_call_84_days_before_the_loss_flags_it_and_is_not_in_vain() -> None:
    first = calls([(0, 215, 216, True)], a=300)  # on the list in the morning of day 216, and gone in the next
    earlier = calls([(0, 214, 215, True)], a=300)

    assert (first.leads, first.calls, first.in_vain) == ([84], 1, 0)
    assert (earlier.leads, earlier.calls, earlier.in_vain) == ([], 1, 1)


def test_a_call_on_the_day_of_the_loss_is_none() -> None:
    assert calls([(0, 298, 400, False)], a=300).calls == 1
    assert calls([(0, 299, 400, False)], a=300).calls == 0


def test_calls_in_the_last_twelve_weeks_and_after_the_loss_do_not_count() -> None:
    found = calls([(0, 330, 340, True), (1, 416, 420, True), (2, 40, 50, True)], a=300)

    assert found.calls == 0


def test_calls_of_an_account_that_was_lost_too_early_to_be_judged_are_not_in_vain() -> None:
    """It stops in its sixth week: the plainest rule calls it as soon as it is eight weeks old."""
    asked = grid("5x40 0x460", "5x500")
    found = lost_of(lost(a=40), ACCOUNTS, asked)
    called = measure_calls("x", NaiveAlarms(asked).silent(21), found, ACCOUNTS, asked)

    assert (dict(found.columns), dict(found.every)) == ({}, {0: 40})
    assert (called.lost, called.calls, called.in_vain) == (0, 0, 0)


def test_weeks_in_which_there_is_nobody_to_call_do_not_make_calls_in_vain_rarer() -> None:
    """One event of years before all others, by a wrong clock or as the default of a column, is the first of the history."""
    alone, both = grid("5x400"), grid("1", "0x1500 5x400")

    assert measure_calls("x", alarms_of([]), lost_of([], ["b"], alone), ["b"], alone).weeks == (400 - 84 - 56) / 7
    weeks = measure_calls("x", alarms_of([]), lost_of([], ["a", "b"], both), ["a", "b"], both).weeks
    assert (
        weeks == (400 - 84 - 55 + 1) / 7
    )  # and a day on which the other account is old enough, and not silent for long yet


def test_calls_of_an_account_of_whose_loss_nobody_can_tell_the_day_are_neither_right_nor_in_vain() -> None:
    found = lost_of((*lost(a=300), *lost_without_day(["b", "nobody"])), ACCOUNTS, GRID)
    called = measure_calls("x", alarms_of([(row, 150, 160, True) for row in range(3)]), found, ACCOUNTS, GRID)

    assert found.left_out == [("b", "no_day"), ("nobody", "no_events")]
    assert (called.lost, called.calls, called.in_vain) == (1, 2, 2)  # of `a`, which is lost long after, and of `c`
    weeks = grid("5x500", "5x500", "5x500", lost=dict(found.every)).weeks()
    assert set(weeks.account.tolist()) == {0, 2}


def test_accounts_that_cannot_be_judged_are_told_with_the_reason() -> None:
    found = lost_of(lost(a=40, b=300, nobody=300, c=900), ACCOUNTS, GRID)

    assert dict(found.columns) == {1: 300}
    assert [account for account, _ in found.left_out] == ["a", "nobody", "c"]
    assert found.left_out[0][1] == "too_early"
    assert found.left_out[1][1] == "no_events"


def test_an_account_that_was_lost_before_the_history_of_it_begins_is_not_told_to_have_another_id() -> None:
    """A log of 400 days and a list of the calendar year before: most lines are of before."""
    asked = grid("0x100 5x400", "0x500")
    found = lost_of(lost(a=90, b=300, nobody=0, somebody=1), ACCOUNTS[:2], asked)

    assert found.left_out == [("nobody", "before"), ("somebody", "no_events"), ("a", "before"), ("b", "never_active")]
    assert dict(found.every) == {0: 90, 1: 300}  # nothing counts of them
