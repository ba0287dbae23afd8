"""Onsets, what they find, and how restless they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.backtest.domain.alarms import AlarmFigures, Alarms, alarms_of, alarms_of_episodes, measure_alarms
from services.backtest.domain.episodes import Episode, episodes_of
from services.backtest.domain.grid import Grid
from services.backtest.domain.resampling import Resampling
from tests.support.backtests import FIRST_DAY, at, grid

STEADY = "6x400"
STOPS = "6x240 0x160"
"""Its loss starts in column 216: from there on the twelve weeks after are at 35 % or less."""


def onsets(alarms: Alarms) -> list[tuple[int, int]]:
    return [(int(account), int(column)) for account, column in zip(*alarms.onsets(), strict=True)]


def measured(alarms: Alarms, asked: Grid) -> AlarmFigures:
    return measure_alarms("x", alarms, asked, asked.weeks(), Resampling(asked.accounts, 20))


def test_an_onset_has_no_alarm_in_the_28_days_before() -> None:
    alarms = alarms_of([(0, 100, 110, True), (0, 137, 140, True), (0, 168, 170, True), (1, 120, 130, True)])

    assert onsets(alarms) == [(0, 100), (0, 168), (1, 120)]


def test_an_onset_is_told_from_the_alarm_just_before_it() -> None:
    alarms = alarms_of([(0, 100, 110, True), (0, 150, 170, True), (0, 197, 200, True), (0, 228, 230, True)])

    assert onsets(alarms) == [(0, 100), (0, 150), (0, 228)]


def test_of_alarms_that_overlap_the_one_that_ends_last_says_whether_they_recovered() -> None:
    """And at the same time the one that came last."""
    alarms = alarms_of(
        [
            (0, 50, 60, True),
            (0, 100, 130, False), (0, 110, 120, True),
            (0, 200, 210, False), (0, 205, 230, True),
            (0, 300, 320, True), (0, 310, 320, False),
            (1, 50, 60, True), (1, 60, 70, True),
        ]
    )  # fmt: skip

    told = list(zip(alarms.start.tolist(), alarms.end.tolist(), alarms.recovered.tolist(), strict=True))
    assert told == [(50, 60, True), (100, 130, False), (200, 230, True), (300, 320, False), (50, 70, True)]


def test_alarms_that_overlap_are_one() -> None:
    alarms = alarms_of([(0, 100, 130, False), (0, 105, 110, True), (0, 130, 140, True)])

    assert list(zip(alarms.start, alarms.end, alarms.recovered, strict=True)) == [(100, 140, True)]


@pytest.mark.parametrize(("onset", "delay"), [(216 - 28, -28), (216, 0), (216 + 56, 56), (187, None), (273, None)])
def test_a_loss_is_found_from_four_weeks_before_its_start_to_eight_after(onset: int, delay: int | None) -> None:
    found = measured(alarms_of([(0, onset, 400, False)]), grid(STOPS))

    assert found.losses == 1
    assert found.recall.value == (0 if delay is None else 1)
    assert math.isnan(found.delay) if delay is None else found.delay == delay


@pytest.mark.parametrize(("onset", "found"), [(298, 1), (299, 0), (186, 0), (187, 1)])
def test_a_loss_of_a_list_is_found_until_the_day_before(onset: int, found: int) -> None:
    asked = grid("6x400", lost={0: 300})  # an onset of column 298 is on the list in the morning of the day before

    assert measured(alarms_of([(0, onset, 400, False)]), asked).recall.value == found


@pytest.mark.parametrize(("onset", "found"), [(70, 1), (74, 1), (75, 0), (100, 0)])
def test_a_call_after_the_loss_of_a_young_account_finds_nothing(onset: int, found: int) -> None:
    asked = grid("6x400", lost={0: 76})  # measured from column 62 on, two weeks before it is lost

    measures = measured(alarms_of([(0, onset, 400, False)]), asked)

    assert (measures.losses, measures.recall.value) == (1, found)


def test_an_alarm_that_is_on_since_long_finds_nothing_but_is_told() -> None:
    found = measured(alarms_of([(0, 100, 400, False)]), grid(STOPS))

    assert found.recall.value == 0
    assert found.found_or_on == 1


def test_a_call_is_false_if_no_loss_follows() -> None:
    asked = grid(STOPS, STEADY)
    found = measured(alarms_of([(0, 230, 400, False), (1, 230, 240, True)]), asked)

    assert found.count == 2
    assert found.precision.value == 0.5
    assert found.false.value == pytest.approx(1000 / len(asked.weeks()))
    assert found.onsets.value == pytest.approx(2000 / len(asked.weeks()))


def test_calls_outside_of_valid_weeks_count_neither_way() -> None:
    found = measured(alarms_of([(0, 30, 40, True), (0, 390, 400, True)]), grid(STEADY))

    assert found.count == 0
    assert math.isnan(found.precision.value)


def test_an_alarm_flaps_if_it_is_back_within_eight_weeks() -> None:
    asked = grid(STEADY)
    flapping = measured(alarms_of([(0, 100, 110, True), (0, 166, 170, True)]), asked)
    calm = measured(alarms_of([(0, 100, 110, True), (0, 167, 170, True)]), asked)

    assert (flapping.flap_share, calm.flap_share) == (0.5, 0)
    assert flapping.flaps.value == pytest.approx(1000 / len(asked.weeks()))


@pytest.mark.parametrize(("gone", "ended"), [(343, 3), (344, 2)])
def test_an_alarm_stayed_away_only_if_the_eight_weeks_after_it_are_known(gone: int, ended: int) -> None:
    alarms = alarms_of([(0, 100, 110, True), (0, 150, 160, True), (0, 300, gone, True)])

    assert measured(alarms, grid(STEADY)).flap_share == pytest.approx(1 / ended)


def test_a_flap_is_told_from_the_alarm_just_before_it() -> None:
    found = measured(alarms_of([(0, 100, 110, True), (0, 180, 190, True), (0, 200, 210, True)]), grid(STEADY))

    assert found.flap_share == pytest.approx(1 / 3)


def test_an_alarm_that_began_outside_of_valid_weeks_is_none_that_could_have_come_again() -> None:
    alarms = alarms_of([(0, 20, 30, True), (0, 100, 110, True), (0, 150, 160, True), (1, 110, 120, True)])
    asked = grid(STEADY, "1x400")

    large = measure_alarms("x", alarms, asked, asked.weeks(), Resampling(2, 5), lambda points: points.base > 10)

    assert measured(alarms, asked).flap_share == pytest.approx(1 / 3)
    assert large.flap_share == 0.5


@pytest.mark.parametrize(("gone", "recoveries"), [(315, 1), (316, 0)])
def test_a_recovery_says_something_only_if_the_twelve_weeks_after_it_are_known(gone: int, recoveries: int) -> None:
    assert measured(alarms_of([(0, 300, gone, True)]), grid(STEADY)).recoveries == recoveries


@pytest.mark.parametrize(("least", "recoveries"), [(42.0, 1), (42.1, 0)])
def test_a_recovery_of_an_account_with_less_than_the_least_base_says_nothing(least: float, recoveries: int) -> None:
    # 49 a week where it begins, 42 where it has recovered
    assert measured(alarms_of([(0, 200, 500, True)]), grid("7x210 6x630", least_base=least)).recoveries == recoveries


def test_a_recovery_is_false_if_a_loss_follows_it() -> None:
    falls_again = alarms_of([(0, 200, 215, True)])
    ended_otherwise = alarms_of([(0, 200, 215, False)])

    assert measured(falls_again, grid(STOPS)).false_recoveries == 1
    assert measured(falls_again, grid(STEADY)).false_recoveries == 0
    assert measured(ended_otherwise, grid(STOPS)).recoveries == 0


@pytest.mark.parametrize(("gone", "recoveries"), [(198, 1), (199, 0), (230, 0)])
def test_an_alarm_that_recovers_after_the_loss_says_nothing_about_recoveries(gone: int, recoveries: int) -> None:
    found = measured(alarms_of([(0, 187, gone, True)]), grid("6x400", lost={0: 200}))

    assert found.recoveries == recoveries
    assert math.isnan(found.false_recoveries) if not recoveries else found.false_recoveries == 1


def test_the_open_share_counts_weeks_that_end_with_the_alarm_on() -> None:
    asked = grid(STEADY)
    weeks = asked.weeks()
    on = int(((weeks.column >= 100) & (weeks.column < 150)).sum())

    assert measured(alarms_of([(0, 100, 150, True)]), asked).open_share == pytest.approx(on / len(weeks))


def test_a_part_of_the_weeks_has_its_own_calls_and_losses() -> None:
    asked = grid(STOPS, "1x400")
    alarms = alarms_of([(0, 230, 400, False), (1, 230, 240, True)])
    large = measure_alarms("x", alarms, asked, asked.weeks(), Resampling(2, 5), lambda points: points.base > 10)

    assert (large.count, large.losses, large.precision.value) == (1, 1, 1)


EPISODES = [
    Episode("a", "usage_decline", "RISK", ((at(100), 1), (at(110), 2), (at(120), 3)), at(150), "recovered"),
    Episode("b", "usage_silent", "RISK", ((at(90), 3),)),
]


def stretches(least: int, most: int) -> list[tuple[int, int, int, bool]]:
    alarms = alarms_of_episodes(EPISODES, ["a", "b"], FIRST_DAY, 400, least=least, most=most)
    columns = (alarms.account, alarms.start, alarms.end, alarms.recovered)
    return [(int(a), int(s), int(e), bool(r)) for a, s, e, r in zip(*columns, strict=True)]


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [
        (2, 3, [(0, 110, 150, True), (1, 90, 400, False)]),
        (3, 3, [(0, 120, 150, True), (1, 90, 400, False)]),
        (2, 2, [(0, 110, 120, False)]),
        (1, 1, [(0, 100, 110, False)]),
    ],
)
def test_severities_are_measured_together_and_apart(
    least: int, most: int, expected: list[tuple[int, int, int, bool]]
) -> None:
    assert stretches(least, most) == expected


def test_transitions_of_signals_make_episodes() -> None:
    common = {"account": "a", "rule": "usage_decline", "category": "RISK", "episode_id": "a:usage_decline:1"}
    signals = [
        {**common, "at": 1, "severity": "INFO", "transition": "FIRING", "resolved_reason": ""},
        {**common, "at": 5, "severity": "WARNING", "transition": "UPDATED", "resolved_reason": ""},
        {**common, "at": 9, "severity": "WARNING", "transition": "RESOLVED", "resolved_reason": "recovered"},
    ]

    assert episodes_of(signals) == [Episode("a", "usage_decline", "RISK", ((1, 1), (5, 2)), 9, "recovered")]


def test_intervals_come_from_drawing_accounts_not_calls() -> None:
    asked = grid(*[STOPS] * 10, *[STEADY] * 10)
    alarms = alarms_of([(account, 230, 400, False) for account in range(20)])
    found = measured(alarms, asked)

    assert found.precision.value == 0.5
    assert 0 < found.precision.low < 0.5 < found.precision.high < 1
    assert np.isnan(measured(alarms_of([]), asked).precision.low)
