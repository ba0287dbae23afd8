"""
The clock of one lane: log time, and how far the closing of days has come.

Time moves only where two clocks agree. In LIVE mode a record's time is the smaller of the broker's append time and its
writer's own, and log time is the running maximum of that: one wrong clock alone can never move it ahead. In DRIVEN mode
(a backfill, the demo, every copy of a log) the records' own times count, those of the driver's epoch alone. A step of
more than seven days waits for a clock record.

Days are those of UTC. When log time passes midnight, today is a new day at once. The accounts follow: each is *closed*
at its first touch of the new day, the others in a *sweep* of ten minutes of log time, in the order of a hash. The day
then waits for the fleet's factor, and is *evaluated* in a second sweep. Both are done before the next midnight. How long
a day has waited is told by ticks alone: events of a backlog hurry through hours in which no factor could have come.
"""

from __future__ import annotations

from services.shared.units import DAY_MS, HOUR_MS

LONGEST_STEP_MS = 7 * DAY_MS
"""How far log time may step without a clock record; a longer step is for a person to accept."""
GRACE_MS = 2 * HOUR_MS
"""How long a closed day waits for its fleet factor, by ticks."""
REPEAT_MS = GRACE_MS // 2
"""After this the lane repeats its partial, and the aggregator decides with what it has."""
TICK_COUNTS_MS = 120_000
"""What one tick adds to the wait at most: ticks come at least once a minute, and those of a catching-up scorer leap."""
SWEEP_MS = 600_000
"""Log time over which a sweep is spread."""
SLICES = 600

IDLE, CLOSING, EVALUATING = range(3)
NEVER = 1 << 62


class LaneClock:
    """Plain state; the fold moves it. Times are milliseconds since 1970 UTC, days days since 1970 UTC."""

    __slots__ = (
        "accepted", "answered", "asked", "cursor", "deadline", "driven", "epoch", "moved_by", "now", "pending", "phase", "repeated",
        "sweep_from", "target", "ticked", "today", "waited",
    )  # fmt: skip

    def __init__(self) -> None:
        """Stand before all time, live."""
        self.driven = False
        self.epoch = 0
        self.ticked = 0
        """Log time after the latest tick."""
        self.asked = 0
        """The latest time of a step that was not taken because it is longer than seven days; 0: none waits."""
        self.answered = -1
        """The offset of the latest answer to such a step: what lies before it needs no other."""
        self.accepted = 0
        """Up to this time steps of any length are right; 0: the answer was no."""
        self.moved_by = ""
        """Which ingest accepted the event that moved log time last; empty: no event did, or it does not say."""
        self.set(0)

    def set(self, at: int) -> None:
        """Put log time somewhere, with no day waiting to be evaluated."""
        self.now = at
        self.target = at
        self.today = at // DAY_MS
        self.pending = -1
        """The day before today, while it is not evaluated yet; -1: it is, or was overtaken."""
        self.phase = IDLE
        self.cursor = ""
        """The last account that the sweep is done with; empty: none yet."""
        self.sweep_from = 0
        """Log time at which the sweep began."""
        self.waited = 0
        """How long the pending day has waited for its factor, by ticks."""
        self.repeated = False
        """The partial of the pending day was sent again."""
        self.deadline = 0
        self.plan(NEVER)

    @property
    def started(self) -> bool:
        """Whether any record has given this lane a time."""
        return self.now > 0

    @property
    def closed_day(self) -> int:
        """The day before today: that of the figures, since an account is closed before it is looked at."""
        return self.today - 1

    @property
    def midnight(self) -> int:
        """When today ends."""
        return (self.today + 1) * DAY_MS

    def slice_at(self, at: int) -> int:
        """Return how many slices of the sweep are due at a log time."""
        return SLICES if self.driven else min(SLICES, max(0, (at - self.sweep_from) * SLICES // SWEEP_MS + 1))

    def due_at(self, slice_: int) -> int:
        """Return the log time at which a slice of the sweep, counted from 0, is due."""
        return self.sweep_from + slice_ * SWEEP_MS // SLICES

    def plan(self, sweep_due: int) -> None:
        """Work out the `deadline`: until then, moving log time needs no other work than setting it."""
        self.deadline = min(self.midnight, (self.now // HOUR_MS + 1) * HOUR_MS, sweep_due) if self.now else 0

    def may_step(self, at: int, offset: int) -> bool | None:
        """
        Return whether log time may move to `at` by the record at `offset`; None: a person has to say so first.

        An answer holds for what lies before it in the log; a yes also for what comes after, up to the time it names.
        """
        if self.driven or not self.started or at - self.now <= LONGEST_STEP_MS or at <= self.accepted:
            return True
        return False if offset < self.answered else None

    def answer(self, offset: int, accepted: int) -> None:
        """Take the answer of the record at `offset`: steps up to `accepted` are right; 0: none is."""
        self.answered = offset
        self.accepted = accepted
        self.asked = 0

    def new_day(self) -> None:
        """Begin a day; the one before is to be closed, account by account."""
        self.today += 1
        self.pending = self.today - 1
        self.waited = 0
        self.repeated = False
        self.begin(CLOSING, self.today * DAY_MS)

    def begin(self, phase: int, at: int) -> None:
        """Begin a sweep, or end one."""
        self.phase = phase
        self.cursor = ""
        self.sweep_from = at
