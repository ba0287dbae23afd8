"""Which days an event may have happened on."""

from __future__ import annotations

from services.scorer.domain.lane.lateness import MOST_DAYS, oldest_day


def test_an_event_counts_for_34_weeks_and_never_before_1970() -> None:
    assert MOST_DAYS == 34 * 7
    assert oldest_day(20_000) == 20_000 - MOST_DAYS
    assert oldest_day(MOST_DAYS - 1) == 0
