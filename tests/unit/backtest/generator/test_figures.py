"""Alarms are judged against the truth as their definitions say."""

from __future__ import annotations

import pytest

from services.backtest.generator import AccountStory, Truth, found

FIRST, DAYS, HOLIDAY = 19_758, 560, 20_000


def truth(*stories: AccountStory) -> Truth:
    return Truth(FIRST, DAYS, stories, {"DE": frozenset({HOLIDAY})}, frozenset())


def story(
    account: str, storyline: str, onset: int | None = None, end: int | None = None, *, kind: str = "", people: int = 5
) -> AccountStory:
    return AccountStory(account, storyline, kind, onset, end, FIRST, people, "DE")


def test_a_sudden_stop_counts_as_found_within_fourteen_days_and_apart_with_more_people_within_ten() -> None:
    told = truth(
        story("large", "sudden_stop", 20_100, people=4),
        story("small", "sudden_stop", 20_100, people=3),
        story("missed", "sudden_stop", 20_100),
    )
    figures = found(told, {"large": [20_110], "small": [20_114], "missed": [20_115]})
    assert (figures.sudden_stop.cases, figures.sudden_stop.alarmed, figures.sudden_stop.median_days) == (3, 2, 12)
    assert (figures.sudden_stop_above_3.cases, figures.sudden_stop_above_3.alarmed) == (2, 1)


def test_losses_count_as_found_within_sixty_days() -> None:
    told = truth(story("seats", "seat_loss", 20_100, 20_105), story("decay", "slow_decay", 20_100, 20_160))
    figures = found(told, {"seats": [20_016, 20_160], "decay": [20_161]})
    assert figures.seat_loss.share == 1.0
    assert figures.seat_loss.median_days == 60
    assert figures.slow_decay.share == 0.0
    assert figures.slow_decay.median_days is None


def test_what_is_there_before_a_loss_is_a_false_alarm_and_what_comes_after_is_none() -> None:
    figures = found(truth(story("a", "slow_decay", 20_100, 20_160)), {"a": [20_099, 20_100, 20_300]})
    assert figures.false.onsets == 1
    assert figures.false.account_weeks == pytest.approx((20_100 - FIRST - 56) / 7)


def test_an_alarm_until_four_weeks_after_a_vacation_is_that_of_the_vacation() -> None:
    told = truth(*(story(name, "vacation", 20_100, 20_113, kind=name) for name in ("told", "calendar", "untold")))
    figures = found(told, {"told": [20_142], "calendar": [20_141], "untold": [20_104]})
    assert {kind: each.alarmed for kind, each in figures.vacations.items()} == {
        "told": 0, "calendar": 1, "untold": 1, "all": 2,
    }  # fmt: skip
    assert figures.false.onsets == 0


def test_alarms_of_growing_and_moving_accounts_are_false() -> None:
    told = truth(story("grows", "growth", 20_100, 20_150), story("moves", "agent_move", 20_100, 20_130, kind="api"))
    figures = found(told, {"grows": [20_120], "moves": [20_140]})
    assert figures.growth.alarmed == figures.agent_moves.alarmed == 1
    assert figures.false.onsets == 2


def test_false_onsets_within_a_week_of_a_holiday_are_counted_apart() -> None:
    figures = found(truth(story("a", "none")), {"a": [HOLIDAY - 1, HOLIDAY, HOLIDAY + 6, HOLIDAY + 7]})
    assert figures.false.onsets == 4
    assert figures.false_in_holidays.onsets == 2
    assert figures.false_in_holidays.account_weeks == 1
    assert figures.false_in_holidays.per_1000 == 2000


def test_weeks_in_which_an_account_is_too_young_for_the_usage_rules_are_told_apart() -> None:
    figures = found(truth(story("a", "none")), {})

    assert figures.false.before_rules == 4
    assert figures.false.share_before_rules == pytest.approx(4 / figures.false.account_weeks)
    assert figures.false_in_holidays.before_rules == 0


def test_alarms_while_an_account_is_learning_do_not_count() -> None:
    assert found(truth(story("a", "none")), {"a": [FIRST + 55]}).false.onsets == 0


def test_without_cases_there_is_no_share() -> None:
    figures = found(truth(story("a", "none")), {})
    assert figures.sudden_stop.share is None
    assert figures.false.per_1000 == 0


def test_an_account_that_is_not_in_the_truth_is_refused() -> None:
    with pytest.raises(ValueError, match="'b' is no account"):
        found(truth(story("a", "none")), {"b": [1]})
