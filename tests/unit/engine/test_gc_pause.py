"""Garbage collection is paused while lanes are restored, and what was frozen is not looked at again."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from services.shared.process.garbage import GcPause, collect_less_often


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    gc.collect()
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.enable()
    gc.unfreeze()


def test_nothing_is_collected_until_the_last_of_several_restores_is_done() -> None:
    paused = GcPause()
    first, second = paused(), paused()

    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)

    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_what_was_restored_is_never_searched_again() -> None:
    with GcPause()():
        state = [[n] for n in range(1000)]

    assert gc.get_freeze_count() >= len(state)
    assert not any(found is state for found in gc.get_objects())


def test_a_restore_that_fails_leaves_the_collection_on() -> None:
    with pytest.raises(ZeroDivisionError), GcPause()():
        _ = 1 / 0

    assert gc.isenabled()


def test_a_collection_that_was_off_stays_off() -> None:
    gc.disable()

    with GcPause()():
        pass

    assert not gc.isenabled()


def test_records_that_come_and_go_are_not_searched_for_cycles() -> None:
    collect_less_often()
    gc.collect()
    before = gc.get_stats()[0]["collections"]

    for _ in range(20):
        assert len([{"n": n} for n in range(900)]) == 900

    assert gc.get_stats()[0]["collections"] == before


def test_cycles_are_found_all_the_same() -> None:
    collect_less_often()
    gc.collect()
    before = gc.get_stats()[0]["collected"]

    for _ in range(50_000):
        cycle: list[object] = []
        cycle.append(cycle)

    assert gc.get_stats()[0]["collected"] > before
