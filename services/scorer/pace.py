"""
When a lane is to be ticked: when something is due in it, else once a minute.

What is due is reckoned from the lane's own log time and the monotonic clock of this process, so a wrong wall clock
neither hurries nor delays it. The wall clock only says what a tick claims; the lane believes the smaller of that and
the broker's append time. A tick that did not bring the lane to where it was due is followed by longer and longer waits:
a clock that lags must not make a storm. Pure: it is told every time.
"""

from __future__ import annotations

from math import inf
from typing import Protocol, runtime_checkable

from services.scorer.domain.lane.clock import LONGEST_STEP_MS
from services.shared.units import DAY_MS

LEAST_S = 1.0
"""Between two ticks of a lane, whatever happens."""
IDLE_S = 60.0
"""Between two ticks of a lane in which nothing is due, whether events move it or not; also the longest wait."""
BEHIND_MS = 60_000
"""So far behind the wall clock a lane is walked forward at once."""
STEP_MS = DAY_MS
"""Length of a step of the walk, so that each day is closed in turn. What a person has to accept is not walked."""


@runtime_checkable
class Clocked(Protocol):
    """What the ticker asks of the processor of a lane. Times are log time, milliseconds since 1970 UTC."""

    @property
    def log_time(self) -> int:
        """Where the lane stands; 0: no record has set it."""

    @property
    def driven(self) -> bool:
        """Whether a driver moves this lane's clock."""

    @property
    def due(self) -> int | None:
        """When the next thing is due, not after log time: now; None: nothing is known."""

    @property
    def waiting(self) -> int | None:
        """To where the lane was asked to step and waits for a person; None: it does not wait."""


class _Backoff:
    """How long one kind of tick waits, by what became of the last one."""

    __slots__ = ("due", "from_time", "pending", "wait_s", "wanted")

    def __init__(self) -> None:
        self.wait_s = LEAST_S
        self.pending = False
        self.wanted = 0
        self.from_time = 0
        self.due: int | None = None

    def look(self, lane: Clocked) -> None:
        """Note whether the last tick has brought the lane to where it was wanted."""
        if not self.pending:
            return
        if self.wanted > self.from_time:
            brought = lane.log_time >= self.wanted
        else:  # it was due at once, and time need not move for it
            brought = lane.log_time > self.from_time or lane.due != self.due
        if brought:
            self.pending = False
            self.wait_s = LEAST_S

    def sent(self, lane: Clocked, wanted: int) -> None:
        """Note a tick that is to bring the lane to `wanted`."""
        if self.pending:
            self.wait_s = min(IDLE_S, 2 * self.wait_s)
        self.pending = True
        self.wanted, self.from_time, self.due = wanted, lane.log_time, lane.due


class Pace:
    """Decides for one lane. `next` is asked several times a second, while no tick of the lane is on its way."""

    __slots__ = ("_log_time", "_moved_s", "_sent_at", "_sent_s", "_things", "_walk", "_walking")

    def __init__(self) -> None:
        """Begin with a lane of which nothing is known: its first tick goes out at once."""
        self._log_time = -1
        self._moved_s = -inf
        self._sent_s = -inf
        self._sent_at = 0
        self._things = _Backoff()
        self._walk = _Backoff()
        self._walking = False

    def next(self, lane: Clocked, now_s: float, wall_ms: int) -> int | None:
        """
        Return what a tick is to claim now, and take it as sent; None: no tick yet.

        Args:
            lane: The lane as it is now.
            now_s: Monotonic clock, seconds.
            wall_ms: Wall clock, milliseconds since 1970 UTC.
        """
        self._look(lane, now_s)
        since = now_s - self._sent_s
        if since < LEAST_S:
            return None
        due, walked = lane.due, max(lane.log_time, self._sent_at)
        if lane.waiting is not None:
            if since < IDLE_S:
                return None
        elif due is not None and since >= self._things.wait_s and due <= self._reckoned(now_s):
            self._things.sent(lane, due)
        elif (self._walking or wall_ms - walked > BEHIND_MS) and since >= self._walk.wait_s:
            self._walk.sent(lane, self._step(lane, walked, wall_ms) - BEHIND_MS)
        elif since < IDLE_S:
            return None
        self._sent_s = now_s
        at = self._step(lane, walked, wall_ms)
        self._sent_at = max(self._sent_at, at)
        self._walking = at < wall_ms
        return at

    def _look(self, lane: Clocked, now_s: float) -> None:
        if lane.log_time != self._log_time:
            if self._log_time >= 0:  # else it is not known since when it stands there
                self._moved_s = now_s
            self._log_time = lane.log_time
        self._things.look(lane)
        self._walk.look(lane)

    def _reckoned(self, now_s: float) -> float:
        """Return where log time should be by now."""
        return self._log_time + (now_s - self._moved_s) * 1000

    @staticmethod
    def _step(lane: Clocked, walked: int, wall_ms: int) -> int:
        if lane.log_time <= 0 or lane.waiting is not None or wall_ms - lane.log_time > LONGEST_STEP_MS:
            return wall_ms
        return min(wall_ms, walked + STEP_MS)
