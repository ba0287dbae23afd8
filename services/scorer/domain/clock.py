"""
The clock of one lane: log time, and how far the closing of days has come.

Log time is the greatest of the ticks and receipt times that this lane has folded, never backwards. In LIVE mode
these are of epoch 0; in DRIVEN mode (a backfill, the demo) only those of the driver's epoch count. A jump of more
than 26 hours is taken for somebody's broken clock and ignored, except where a clock record orders it.

Days are those of UTC. When log time passes midnight the day before is *closed* account by account; it then waits
for the fleet's factor of that day, at most two hours of log time, and is *evaluated* account by account. Both are
long, so `phase` and `cursor` say where they stand, and `target` what log time they stand in the way of.
"""

from __future__ import annotations

from services.scorer.domain.units import DAY_MS, HOUR_MS

JUMP_MS = 26 * HOUR_MS
GRACE_MS = 2 * HOUR_MS
"""How long a closed day waits for its fleet factor."""
FUTURE_MS = HOUR_MS
"""How far ahead of log time an event may have happened; it counts for today."""

IDLE, CLOSING, EVALUATING = range(3)


class LaneClock:
    """Plain state; the fold moves it. Times are milliseconds since 1970 UTC, days days since 1970 UTC."""

    __slots__ = ("closed_day", "cursor", "deadline", "driven", "epoch", "now", "pending", "phase", "target", "today")

    def __init__(self) -> None:
        """Stand before all time, live."""
        self.driven = False
        self.epoch = 0
        self.set(0)

    def set(self, at: int) -> None:
        """Put log time somewhere, with no day waiting to be evaluated."""
        self.now = at
        self.target = at
        self.closed_day = at // DAY_MS - 1
        self.pending = -1
        """A closed day that is not evaluated yet; -1: none."""
        self.phase = IDLE
        self.cursor = ""
        """The last account that the phase is done with; empty: none yet."""
        self.today = self.closed_day + 1
        self.deadline = 0
        self.plan()

    @property
    def started(self) -> bool:
        """Whether any record has given this lane a time."""
        return self.now > 0

    @property
    def midnight(self) -> int:
        """When today ends."""
        return (self.today + 1) * DAY_MS

    @property
    def grace_end(self) -> int:
        """When the pending day is evaluated even without its factor."""
        return (self.pending + 1) * DAY_MS + GRACE_MS

    def plan(self) -> None:
        """Work out the `deadline`: until then, moving log time needs no other work than setting it."""
        if not self.now:
            self.deadline = 0
            return
        self.deadline = min(self.midnight, (self.now // HOUR_MS + 1) * HOUR_MS)
        if self.pending >= 0:
            self.deadline = min(self.deadline, self.grace_end)

    def too_far(self, at: int) -> bool:
        """Tell whether a tick or receipt is further ahead than a clock may go without an order."""
        return self.started and at - self.now > JUMP_MS

    def day_is_closed(self) -> None:
        """Today is closed account by account: it waits for its factor, and tomorrow is today."""
        self.phase = IDLE
        self.cursor = ""
        self.pending = self.closed_day = self.today
        self.today += 1
        self.plan()

    def day_is_evaluated(self) -> None:
        """The pending day is done."""
        self.phase = IDLE
        self.cursor = ""
        self.pending = -1
        self.plan()
