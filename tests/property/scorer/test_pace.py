"""Ticks when due: how many there are under any clock, and how soon what is due happens under a right one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scorer.pace import Pace
from services.shared.units import DAY_MS, DAY_S
from tests.support.examples import examples

START = 20_000 * DAY_MS
LOOK_S = 0.25
WEEK_MS = 7 * DAY_MS
UNTIL_A_MINUTE = 7
"""Ticks of a row of waits that doubles from one second to sixty."""


@dataclass
class Lane:
    """A lane over a log: it takes a tick a moment later, at the smaller of its time and the broker's."""

    broker_ms: Callable[[float], int]
    log_time: int = START
    things: list[int] = field(default_factory=list)
    """Log times at which something is due, in order."""
    takes_s: float = 0.1
    driven: bool = False
    waiting: int | None = None
    ticks: list[tuple[float, int]] = field(default_factory=list)
    done: list[tuple[float, int]] = field(default_factory=list)
    """Seconds, and the log time at which the thing was due."""
    _coming: list[tuple[float, int]] = field(default_factory=list)

    @property
    def due(self) -> int | None:
        return self.things[0] if self.things else None

    def tick(self, at: int, now_s: float) -> None:
        self.ticks.append((now_s, at))
        self._coming.append((now_s + self.takes_s, min(at, self.broker_ms(now_s))))

    def fold(self, now_s: float) -> None:
        while self._coming and self._coming[0][0] <= now_s:
            to = self._coming.pop(0)[1]
            if self.log_time > 0 and to - self.log_time > WEEK_MS:
                self.waiting = to
                continue
            self.log_time = max(self.log_time, to)
            while self.things and self.things[0] <= self.log_time:
                self.done.append((now_s, self.things.pop(0)))


def run(lane: Lane, wall_ms: Callable[[float], int], seconds: float) -> None:
    pace = Pace()
    for turn in range(int(seconds / LOOK_S)):
        now_s = turn * LOOK_S
        lane.fold(now_s)
        at = pace.next(lane, now_s, wall_ms(now_s))
        if at is not None:
            lane.tick(at, now_s)


def right(now_s: float) -> int:
    return START + int(now_s * 1000)


def jumping(jumps: Iterable[tuple[int, int]]) -> Callable[[float], int]:
    """Return a clock that is off by so many seconds from each of some seconds on."""
    ordered = sorted(jumps)

    def clock(now_s: float) -> int:
        off = 0
        for since, by in ordered:
            if since <= now_s:
                off = by
        return max(1, right(now_s) + off * 1000)

    return clock


offsets = st.one_of(st.integers(-120, 120), st.integers(-400 * DAY_S, 400 * DAY_S))
clocks = st.lists(st.tuples(st.integers(0, 1200), offsets), max_size=5).map(jumping)
dues = st.lists(st.integers(0, 1200), max_size=12).map(lambda each: [START + 1000 * s for s in sorted(each)])


@given(clocks, clocks, dues, st.sampled_from([0.05, 0.5, 5.0, 90.0]))
@settings(max_examples=examples(60), deadline=None)
def test_no_clock_makes_a_storm(
    wall: Callable[[float], int], broker: Callable[[float], int], things: list[int], takes_s: float
) -> None:
    """Whatever the clocks of scorer and broker do, and however slow the lane is."""
    lane = Lane(broker, things=list(things), takes_s=takes_s)
    run(lane, wall, 1200)

    gaps = [later - sooner for (sooner, _), (later, _) in zip(lane.ticks, lane.ticks[1:], strict=False)]
    assert all(gap >= 1 for gap in gaps)
    jumps_and_walks = 6 * (UNTIL_A_MINUTE + 8)
    assert len(lane.ticks) <= 1200 / 60 + len(things) * UNTIL_A_MINUTE + UNTIL_A_MINUTE + jumps_and_walks


@given(clocks, clocks, dues)
@settings(max_examples=examples(40), deadline=None)
def test_no_lane_goes_ahead_of_either_clock(
    wall: Callable[[float], int], broker: Callable[[float], int], things: list[int]
) -> None:
    lane = Lane(broker, things=list(things))
    run(lane, wall, 1200)

    for now_s, at in lane.ticks:
        assert at <= wall(now_s)


@given(dues, st.integers(0, 6 * DAY_S))
@settings(max_examples=examples(40), deadline=None)
def test_with_a_right_clock_what_is_due_happens_within_two_seconds(things: list[int], absence_s: int) -> None:
    """A scorer that was away walks there first, a day a second."""
    lane = Lane(right, START - absence_s * 1000, list(things))
    run(lane, right, 1300)

    assert len(lane.done) == len(things)
    for now_s, due in lane.done:
        walking = absence_s // DAY_S + 2
        assert now_s <= max((due - START) / 1000, walking) + 2


def test_an_idle_lane_gets_a_tick_a_minute() -> None:
    lane = Lane(right)
    run(lane, right, 3600)

    assert 59 <= len(lane.ticks) <= 61


def test_a_lane_that_events_keep_moving_gets_a_tick_a_minute_too() -> None:
    """How long a closed day waits for its factor is counted by ticks."""

    class Busy(Lane):
        def fold(self, now_s: float) -> None:
            super().fold(now_s)
            self.log_time = max(self.log_time, right(now_s))

    lane = Busy(right)
    run(lane, right, 3600)

    assert 59 <= len(lane.ticks) <= 61


def test_a_long_absence_is_walked_in_steps_of_a_day() -> None:
    lane = Lane(right, START - 3 * DAY_MS - 5_000_000)
    run(lane, right, 30)

    first = START - 3 * DAY_MS - 5_000_000
    assert [at for _, at in lane.ticks[:3]] == [first + n * DAY_MS for n in (1, 2, 3)]
    assert lane.log_time >= START
    assert len(lane.ticks) == 4


def test_after_more_than_seven_days_it_asks_once_a_minute_and_the_lane_waits() -> None:
    lane = Lane(right, START - 8 * DAY_MS)
    run(lane, right, 600)

    assert lane.waiting is not None
    assert all(at == right(now_s) for now_s, at in lane.ticks)
    assert len(lane.ticks) <= 11


def test_a_clock_a_hundred_days_ahead_puts_no_hundred_ticks_into_the_log() -> None:
    """The first version appended a hundred of them to each lane before it looked at the broker's clock."""
    lane = Lane(right, things=[START + 120_000])
    run(lane, lambda now_s: right(now_s) + 100 * DAY_MS, 600)

    assert len(lane.ticks) <= 16
    assert lane.log_time <= right(600)
    assert len(lane.done) == 1


def test_a_lane_that_is_not_started_starts_at_once() -> None:
    lane = Lane(right, 0)
    run(lane, right, 2)

    assert lane.log_time == START
