"""Whatever the events, the driver's order keeps its rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.backfill.mapping import TimedCall
from services.backfill.plan import AwaitFleet, Send, Step, Tick, steps
from services.shared.units import DAY_MS, HOUR_MS

times = st.lists(st.integers(0, 9 * DAY_MS), max_size=60).map(sorted)
ticks = st.sampled_from([1, 2, 3, 6, 12, 24])


def plan(at: list[int], tick_hours: int, until: int = 10 * DAY_MS, slice_size: int = 7) -> list[Step[TimedCall]]:
    calls = (TimedCall(at_ms, {"number": number}) for number, at_ms in enumerate(at))
    return list(steps(calls, 0, until, tick_hours * HOUR_MS, slice_size))


@given(times, ticks)
def test_every_event_is_sent_once_and_in_order(at: list[int], tick_hours: int) -> None:
    sent = [call.call["number"] for step in plan(at, tick_hours) if isinstance(step, Send) for call in step.calls]

    assert sent == list(range(len(at)))


@given(times, ticks)
def test_a_tick_comes_after_all_earlier_events_and_before_all_others(at: list[int], tick_hours: int) -> None:
    sent: list[int] = []
    for step in plan(at, tick_hours):
        if isinstance(step, Send):
            sent += [call.at_ms for call in step.calls]
        elif isinstance(step, Tick):
            assert sent == [at_ms for at_ms in at if at_ms < step.at_ms]


@given(times, ticks)
def test_each_day_is_closed_once_by_a_tick_at_midnight_and_its_fleet_awaited(at: list[int], tick_hours: int) -> None:
    order = plan(at, tick_hours)

    closed = [step.day for step in order if isinstance(step, AwaitFleet)]
    before = [order[place - 1] for place, step in enumerate(order) if isinstance(step, AwaitFleet)]

    assert closed == list(range(10))
    assert before == [Tick((day + 1) * DAY_MS) for day in closed]


@given(times, ticks)
def test_ticks_rise_and_lie_on_the_grid(at: list[int], tick_hours: int) -> None:
    moments = [step.at_ms for step in plan(at, tick_hours) if isinstance(step, Tick)]

    assert moments == sorted(set(moments))
    assert all(moment % (tick_hours * HOUR_MS) == 0 for moment in moments)


@given(times, ticks)
def test_an_event_waits_no_longer_than_one_interval_for_a_tick(at: list[int], tick_hours: int) -> None:
    moments = [step.at_ms for step in plan(at, tick_hours) if isinstance(step, Tick)]

    for at_ms in at:
        following = min(moment for moment in moments if moment > at_ms)
        assert following - at_ms <= tick_hours * HOUR_MS


@given(times, ticks, st.integers(1, 9))
def test_a_plan_that_goes_on_after_a_tick_is_the_rest_of_the_whole_plan(
    at: list[int], tick_hours: int, stopped: int
) -> None:
    whole = plan(at, tick_hours, slice_size=10_000)
    cut = next(place for place, step in enumerate(whole) if step == Tick(stopped * DAY_MS)) + 2
    rest = (TimedCall(at_ms, {"number": n}) for n, at_ms in enumerate(at) if at_ms >= stopped * DAY_MS)

    resumed = list(steps(rest, stopped * DAY_MS, 10 * DAY_MS, tick_hours * HOUR_MS))

    assert resumed == whole[cut:]
