"""Daily counts: 256 days, escapes for large counts, cells cleared as days pass."""

from __future__ import annotations

import pytest

from services.scorer.domain.accounts.daily_counts import ACTIVE, EVENTS, SPAN, DailyCounts


def test_counts_are_kept_for_256_days_and_then_forgotten() -> None:
    counted = DailyCounts(999, 5)
    counted.add(EVENTS, 1000, 3)
    counted.advance(1000 + SPAN - 1)
    assert counted.get(EVENTS, 1000) == 3

    counted.advance(1000 + SPAN)
    assert counted.get(EVENTS, 1000) == 0
    assert counted.get(EVENTS, 1000 + SPAN) == 0


@pytest.mark.parametrize("gap", [1, 2, 100, 255, 256, 257, 5000])
def test_a_long_sleep_leaves_no_old_day_behind(gap: int) -> None:
    counted = DailyCounts(999, 5)
    for day in range(1000, 1000 + SPAN):
        counted.add(EVENTS, day, day)
    last = 1000 + SPAN - 1
    counted.add(EVENTS, last + gap, 7)

    history = counted.history(EVENTS, last + gap)
    assert history is not None
    expected = [day if day <= last else 0 for day in range(last + gap - SPAN + 1, last + gap)] + [7]
    assert history.tolist() == expected


def test_a_count_over_two_bytes_is_exact_and_leaves_with_its_day() -> None:
    counted = DailyCounts(999, 5)
    counted.add(EVENTS, 1000, 65_534)
    counted.add(EVENTS, 1000, 1)
    counted.add(EVENTS, 1000, 3_000_000)
    counted.add(ACTIVE, 1000, 5)

    assert counted.get(EVENTS, 1000) == 3_065_535
    history = counted.history(EVENTS, 1002)
    assert history is not None
    assert history[-3:].tolist() == [3_065_535, 0, 0]
    counted.add(EVENTS, 1001, 70_000)
    counted.advance(1000 + SPAN - 1)
    assert (counted.get(EVENTS, 1000), counted.get(EVENTS, 1001)) == (3_065_535, 70_000)
    assert counted.history(EVENTS, 1000 + SPAN)[-1] == 0  # type: ignore[index]
    counted.advance(1000 + SPAN)
    assert counted.large == {(EVENTS, 1001): 70_000}
    counted.advance(1000 + SPAN + 1)
    assert counted.large is None


def test_a_ring_takes_two_bytes_a_day_only_where_one_count_needs_them() -> None:
    counted = DailyCounts(999, 5)
    for day in range(1000, 1000 + SPAN):
        counted.add(ACTIVE, day, 255)
        counted.add(EVENTS, day, 256 if day == 1100 else day & 255)

    active, events = counted.counts[ACTIVE], counted.counts[EVENTS]
    assert active is not None and active.itemsize == 1
    assert events is not None and events.itemsize == 2
    assert [counted.get(EVENTS, day) for day in (1099, 1100, 1101)] == [1099 & 255, 256, 1101 & 255]
    counted.advance(1000 + 2 * SPAN)
    assert not any(active)


def test_looking_ahead_of_the_ring_sees_empty_days() -> None:
    counted = DailyCounts(999, 5)
    counted.add(EVENTS, 1000, 3)

    for ahead in (0, 1, 255, 256, 300):
        history = counted.history(EVENTS, 1000 + ahead)
        assert history is not None
        assert history.sum() == (3 if ahead < SPAN else 0)


def test_looking_back_sees_no_newer_day_in_the_place_of_one_that_is_forgotten() -> None:
    counted = DailyCounts(999, 5)
    for day in range(1000, 1000 + SPAN + 2):
        counted.add(EVENTS, day, day)
    last = 1000 + SPAN + 1

    for back in (0, 1, 2, 255):
        history = counted.history(EVENTS, last - back)
        assert history is not None
        assert history.tolist() == [0] * back + list(range(1002, last - back + 1))


def test_a_large_count_of_a_day_after_the_last_or_of_another_kind_is_not_taken_for_one_before() -> None:
    counted = DailyCounts(999, 5)
    counted.add(EVENTS, 1001, 70_000)
    counted.add(ACTIVE, 1000, 1)

    for place, end, expected in ((EVENTS, 1000, 0), (EVENTS, 1001, 70_000), (ACTIVE, 1001, 1)):
        history = counted.history(place, end)
        assert history is not None
        assert history.sum() == expected


def test_a_day_out_of_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 256 days"):
        DailyCounts(1000, 5).add(EVENTS, 1000 - SPAN, 1)


def test_a_ring_that_never_counted_takes_no_memory() -> None:
    counted = DailyCounts(999, 5)
    counted.add(EVENTS, 1000, 0)

    assert counted.counts == [None] * 5
    assert counted.history(EVENTS, 1000) is None
