"""What counts as Tidemark's alarm, and what was said of an account when its week ended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.backtest.domain.episodes import Episode
from services.backtest.domain.figures import SIZES, Said, figures, latest_at, our_alarms
from services.backtest.domain.grid import Grid
from tests.support.backtests import at, grid

USE = frozenset({"usage_silent"})


def episode(account: str, column: int, rule: str = "usage_silent", category: str = "RISK") -> Episode:
    return Episode(account, rule, category, ((at(column), 2),), at(column + 20), "recovered")


def said(*episodes: Episode, tenths: tuple[int, ...] = (), risk: tuple[float, ...] = ()) -> Said:
    """Return what was said of `a` and `b`: a score at the end of column 50, and so on week by week."""
    numbers = np.arange(len(tenths))
    return Said(
        ["a", "b"],
        list(episodes),
        (numbers % 2).astype(np.int32),
        np.array([at(50)] * len(tenths), np.int64),
        np.array(tenths, np.int16),
        np.array(risk or [np.nan] * len(tenths)),
    )


def test_an_alarm_is_a_risk_and_of_a_rule_that_is_told_from_use() -> None:
    told = [
        episode("a", 100),
        episode("a", 200, category="EXPANSION"),
        episode("b", 100, rule="tickets_stuck"),
        episode("b", 300),
    ]

    alarms = our_alarms(told, ["a", "b"], grid("6x500", "6x500"), USE)

    assert list(zip(alarms.account.tolist(), alarms.start.tolist(), strict=True)) == [(0, 100), (1, 300)]


def test_a_signal_is_right_if_a_loss_follows_on_the_day_at_whose_close_it_came() -> None:
    stops = grid("6x240 0x160", "6x400")  # a loss from column 210 on

    def precision(column: int) -> tuple[int, float]:
        (found,) = figures("x", said(episode("a", column)), stops, rules=USE, draws=0).rules
        return found.fired, found.precision.value

    assert precision(209) == (1, 0)
    assert precision(210) == (1, 1)
    assert precision(400 - 85)[0] == 0  # silent for over eight weeks
    assert [
        figures("x", said(episode("b", column)), stops, rules=USE, draws=0).rules[0].fired for column in (315, 316)
    ] == [1, 0]


def test_the_lift_is_the_precision_over_the_rate_of_losses() -> None:
    found = figures("x", said(episode("a", 215), episode("b", 215)), grid("6x240 0x160", "6x400"), rules=USE, draws=0)

    assert found.rules[0].precision.value == 0.5
    assert found.rules[0].lift == pytest.approx(0.5 / found.base_rate)


def test_without_a_loss_no_lift_is_known() -> None:
    (found,) = figures("x", said(episode("a", 215)), grid("6x400", "6x400"), rules=USE, draws=0).rules

    assert (found.fired, found.precision.value) == (1, 0)
    assert np.isnan(found.lift)


def test_accounts_of_a_size_are_those_from_its_lower_end_to_below_its_upper() -> None:
    weeks = grid("(1 0 0 0 0 0 0)x60", "(1 1 1 0 0 0 0)x60", "(2 2 2 2 2 0 0)x60")

    found = figures("x", Said(["a", "b", "c"], [], *said()[2:]), weeks, rules=USE, draws=0)

    assert [found.sizes[size][0].weeks for size in SIZES] == [found.weeks // 3] * 3


def test_an_account_of_which_nothing_is_known_comes_last_whoever_ranks() -> None:
    """It is the one that is lost; the second of the others is as far down as it can be."""
    told = said(tenths=(100, 900), risk=(-3.0, -5.0))._replace(
        accounts=["a", "b", "c"], score_account=np.array([1, 2], np.int32)
    )

    asked = grid("6x240 0x160", "6x400", "6x400")
    found = figures("x", told, asked, rules=USE, draws=0)

    stays = asked.weeks().account[~asked.weeks().loss]
    ties = (stays != 1).mean() / 2  # with the other weeks of its own, and with those of the riskless one
    assert [each.name for each in found.ranking[:2]] == ["tidemark_risk", "tidemark_score"]
    assert [each.auc.value for each in found.ranking[:2]] == pytest.approx([ties, ties])


@pytest.mark.parametrize(("column", "found"), [(49, -1), (50, 1), (59, 1), (60, 0), (399, 0)])
def test_the_latest_snapshot_is_the_last_that_had_come_when_the_day_ended(column: int, found: int) -> None:
    asked: Grid = grid("6x400", "6x400")
    points = asked.points(np.ones(1, np.int64), np.array([column]))

    place = latest_at(np.array([1, 1, 0], np.int32), np.array([at(60), at(50), at(10)]), asked, points)

    assert place.tolist() == [found]
    nobody = replace(points, account=np.array([0]))
    assert latest_at(np.array([1, 1], np.int32), np.array([at(60), at(50)]), asked, nobody).tolist() == [-1]
