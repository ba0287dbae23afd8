"""What follows when a fold raises, without any lane."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.shared.engine.errors import FoldRaised, TooManyRaises
from services.shared.engine.fold.failure_policy import (
    FoldCarefully,
    Patience,
    RaiseHistory,
    Remedy,
    SetApart,
    SkipRecord,
    StopLane,
    decide,
)
from services.shared.engine.fold.raises import Raises
from services.shared.errors import KeyFault

PATIENCE = Patience(in_a_row=3, restores=5, within=600)
BROKEN = ZeroDivisionError("broken")
FAULT = KeyFault("acme", "no such day")


def follows(
    error: FoldRaised, history: RaiseHistory, *, now: float = 0, folded: int = -1, quarantines: bool = True
) -> tuple[Remedy, RaiseHistory]:
    return decide(error, history, PATIENCE, now=now, folded=folded, reached=9, quarantines=quarantines)


@pytest.mark.parametrize(
    ("error", "quarantines", "remedy"),
    [
        (FoldRaised(7, BROKEN, 2), True, SkipRecord(7, 2, "ZeroDivisionError: broken")),
        (FoldRaised(7, FAULT, 2), True, SetApart(7, 2, "acme", "no such day")),
        (FoldRaised(7, FAULT, 2), False, SkipRecord(7, 2, "KeyFault: acme: no such day")),
        (FoldRaised(None, BROKEN), True, FoldCarefully(9)),
    ],
)
def test_what_follows_a_raise(error: FoldRaised, quarantines: bool, remedy: Remedy) -> None:
    found, history = follows(error, RaiseHistory(), now=5, quarantines=quarantines)

    assert found == remedy
    assert history.restored == (5,)


def test_raising_records_in_a_row_stop_the_lane_unless_one_between_them_was_folded() -> None:
    history = RaiseHistory(in_a_row=2, last=7)

    stop, _ = follows(FoldRaised(8, BROKEN), history, folded=6)
    letter, after = follows(FoldRaised(9, BROKEN), history, folded=8)

    assert isinstance(stop, StopLane)
    assert "3 folds in a row raised, last: offset 8: ZeroDivisionError: broken" in stop.detail
    assert letter == SkipRecord(9, 0, "ZeroDivisionError: broken")
    assert (after.in_a_row, after.last) == (1, 9)


def test_raises_without_a_name_stop_the_lane_unless_one_between_them_has_a_name() -> None:
    history = RaiseHistory(unnamed=2)

    assert isinstance(follows(FoldRaised(None, BROKEN), history)[0], StopLane)
    assert follows(FoldRaised(3, FAULT), history)[1].unnamed == 0


def test_a_raise_without_a_name_does_not_end_a_row_of_records_that_raised() -> None:
    _, after = follows(FoldRaised(None, BROKEN), RaiseHistory(in_a_row=2, last=7), folded=8)

    assert (after.in_a_row, after.last) == (2, 7)


def test_keys_at_fault_are_no_row() -> None:
    history = RaiseHistory()
    for offset in range(5):
        remedy, history = follows(FoldRaised(offset, FAULT), history)
        assert isinstance(remedy, SetApart)

    assert history.in_a_row == 0


def test_restores_stop_the_lane_when_there_are_too_many_in_a_while_and_old_ones_do_not_count() -> None:
    history = replace(RaiseHistory(), restored=(0, 1, 2, 3, 4))

    assert isinstance(follows(FoldRaised(7, FAULT), history, now=600)[0], StopLane)
    remedy, after = follows(FoldRaised(7, FAULT), history, now=601)
    assert isinstance(remedy, SetApart)
    assert after.restored == (1, 2, 3, 4, 601)


def test_what_a_lane_remembers_of_its_raises_is_applied_by_the_next_runner_until_it_is_durable() -> None:
    raises = Raises("events/0", PATIENCE)
    for offset, error in ((4, BROKEN), (6, FAULT), (6, KeyFault("beta", "nor here"))):
        raises.blame(FoldRaised(offset, error), 0, folded=offset - 1, reached=offset, quarantines=True)

    raises.restored(4)
    assert list(raises.records) == [4]
    assert [fault.key for fault in raises.faults[6]] == ["acme", "beta"]
    for durable_up_to in (5, 6):
        raises.restored(durable_up_to)
        assert (list(raises.records), list(raises.faults)) == ([], [6])
    raises.restored(7)
    assert raises.faults == {}


def test_only_the_restore_after_a_raise_without_a_name_is_folded_carefully() -> None:
    raises = Raises("events/0", PATIENCE)

    raises.blame(FoldRaised(None, BROKEN), 0, folded=8, reached=9, quarantines=True)
    assert raises.careful_until == 9
    raises.blame(FoldRaised(5, BROKEN), 0, folded=4, reached=5, quarantines=True)
    assert raises.careful_until == -1


def test_what_was_given_ends_the_row_of_raises_before_it() -> None:
    raises = Raises("events/0", PATIENCE)
    for _ in range(5):
        raises.blame(FoldRaised(None, BROKEN), 0, folded=-1, reached=9, quarantines=True)
        raises.gathered(-1)

    with pytest.raises(TooManyRaises, match="events/0: the lane would be restored for the 6th time in a while"):
        raises.blame(FoldRaised(None, BROKEN), 0, folded=-1, reached=9, quarantines=True)
