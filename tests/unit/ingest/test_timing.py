"""When an event happened, at the edges of what is believed of a sender's clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.ingest.domain.request import Request
from services.ingest.domain.timing import historical, occurred, to_millis
from services.shared.errors import Rejected
from services.shared.units import DAY_MS, HOUR_MS

NOW = 1_800_000_000_000


def test_a_sent_time_is_believed_up_to_a_day_before_the_event() -> None:
    happened = NOW - HOUR_MS

    assert occurred(happened, happened - DAY_MS, NOW) == (NOW, HOUR_MS)
    assert occurred(happened, happened - DAY_MS - 1, NOW) == (happened, 0)


def test_a_time_is_taken_up_to_a_day_ahead_and_no_millisecond_more() -> None:
    assert occurred(NOW + DAY_MS, None, NOW) == (NOW, -DAY_MS)
    for ahead in (NOW + DAY_MS + 1, NOW + 100 * DAY_MS):
        with pytest.raises(Rejected) as refused:
            occurred(ahead, None, NOW)
        assert refused.value.code == "timestamp_in_future"


def test_an_event_that_waited_for_longer_than_since_1970_is_of_1970() -> None:
    assert occurred(0, NOW + 1, NOW) == (0, 0)


@pytest.mark.parametrize(
    "when",
    [lambda at: occurred(at, None, NOW)[0], lambda at: historical(at, NOW)],
    ids=["live", "of a backfill"],
)
def test_the_first_millisecond_of_1970_is_taken_and_the_one_before_is_not(when: Callable[[int], int]) -> None:
    assert when(0) == 0
    with pytest.raises(Rejected) as refused:
        when(-1)
    assert refused.value.code == "timestamp_out_of_range"


def test_an_event_of_a_backfill_says_when_it_happened() -> None:
    with pytest.raises(Rejected) as refused:
        historical(None, NOW)

    assert (refused.value.code, refused.value.field) == ("missing_field", "timestamp")


@pytest.mark.parametrize(
    ("stamp", "millis"),
    [
        ("2027-01-15T08:00:00Z", NOW),
        ("2027-01-15T09:00:01.123999+01:00", NOW + 1_123),
        ("2027-01-15T02:30:00-05:30", NOW),
        ("2027-01-15T08:00:00.007", NOW + 7),
        ("2027-01-15", NOW - 8 * HOUR_MS),
        ("1969-12-31T23:59:59.999Z", -1),
        (None, None),
        ("", None),
    ],
)
def test_a_text_is_read_to_the_millisecond_in_its_own_time_zone_else_as_utc(
    stamp: str | None, millis: int | None
) -> None:
    assert to_millis(stamp, "timestamp") == millis


def test_a_text_that_is_no_time_is_quoted() -> None:
    with pytest.raises(Rejected, match="'yesterday' is no time; send ISO 8601") as refused:
        to_millis("yesterday", "timestamp")

    assert (refused.value.code, refused.value.field) == ("invalid_timestamp", "timestamp")


def test_numbers_are_milliseconds_of_the_years_1973_to_2286() -> None:
    assert [to_millis(number, "timestamp") for number in (10**11, 10**13 - 1)] == [10**11, 10**13 - 1]
    for number in (10**11 - 1, 10**13, -(10**12), True, 1.8e12):
        with pytest.raises(Rejected) as refused:
            to_millis(number, "timestamp")
        assert (refused.value.code, refused.value.field) == ("invalid_timestamp", "timestamp")


@pytest.mark.parametrize(
    ("backfill", "epoch", "received"), [(True, 1, NOW - DAY_MS), (True, 0, NOW), (False, 1, NOW), (False, 0, NOW)]
)
def test_only_in_a_driven_epoch_is_a_backfill_received_when_it_happened(
    backfill: bool, epoch: int, received: int
) -> None:
    request = Request("web", "production", NOW, backfill=backfill, epoch=epoch)

    assert request.received_of(NOW - DAY_MS) == received
