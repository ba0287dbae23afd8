"""
The order in which a driven backfill does things: pure, so that the rules can be tested without Kafka.

Rules. A tick is sent only after every earlier event has been acknowledged, and before any event that is not
earlier. Each UTC day ends with a tick at the very midnight, after which the day's fleet record is awaited on
every partition; no event of the next day is sent before it. Within a day there is a tick at each multiple of the
tick interval that an event lies before; intervals without events need none, since nobody was touched in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar

from services.shared.units import DAY_MS

_LONG_MS = 731 * DAY_MS


class Timed(Protocol):
    """Anything that happened at a time."""

    @property
    def at_ms(self) -> int:
        """Return when, milliseconds since 1970 UTC."""
        ...


T = TypeVar("T", bound=Timed)


class Send(NamedTuple, Generic[T]):
    """Offer these calls to ingest and wait until all are acknowledged."""

    calls: list[T]


class Tick(NamedTuple):
    """Append a tick to every partition and wait until all are acknowledged."""

    at_ms: int


class AwaitFleet(NamedTuple):
    """Wait for the fleet record of this day (days since 1970) on every partition."""

    day: int


Step = Send[T] | Tick | AwaitFleet


def tick_hours_for(first_ms: int, last_ms: int) -> int:
    """
    Return the tick interval that suits a span of the past: 6 hours, or a day where it is longer than two years.

    A tick evaluates the accounts that were touched. Many years are judged by their days, and each tick costs a
    round trip to the log.
    """
    return 6 if last_ms - first_ms <= _LONG_MS else 24


def steps(
    calls: Iterable[T], start_ms: int, until_ms: int, tick_ms: int, slice_size: int = 10_000
) -> Iterator[Step[T]]:
    """
    Yield what to do, in order, from `start_ms` until the clock can be handed over at `until_ms`.

    Args:
        calls: In time order; none earlier than `start_ms` or later than `until_ms`.
        start_ms: Where log time stands.
        until_ms: Where it is to be walked.
        tick_ms: The tick interval; it must divide a day.
        slice_size: Most calls in one Send, which bounds memory.
    """
    clock = start_ms
    waiting: list[T] = []
    untold = False  # whether events lie between the clock and its next boundary
    for call in calls:
        if call.at_ms >= _next(clock, tick_ms):
            if waiting:
                yield Send(waiting)
                waiting = []
            if untold:
                clock = _next(clock, tick_ms)
                yield from _tick(clock)
            while clock // DAY_MS < call.at_ms // DAY_MS:
                clock = _next(clock, DAY_MS)
                yield from _tick(clock)
            clock = max(clock, call.at_ms - call.at_ms % tick_ms)
        untold = True
        waiting.append(call)
        if len(waiting) >= slice_size:
            yield Send(waiting)
            waiting = []
    if waiting:
        yield Send(waiting)
    if untold and _next(clock, tick_ms) <= until_ms:
        clock = _next(clock, tick_ms)
        yield from _tick(clock)
    while _next(clock, DAY_MS) <= until_ms:
        clock = _next(clock, DAY_MS)
        yield from _tick(clock)


def _tick(at_ms: int) -> Iterator[Tick | AwaitFleet]:
    yield Tick(at_ms)
    if at_ms % DAY_MS == 0:
        yield AwaitFleet(at_ms // DAY_MS - 1)


def _next(at_ms: int, interval_ms: int) -> int:
    return at_ms - at_ms % interval_ms + interval_ms
