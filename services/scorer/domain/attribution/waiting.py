"""
The events that wait for an account, bounded in time, number and bytes, those of identified users apart from the rest.

An event waits as the bytes of its record. Whoever makes a page ask for it can have anonymous visitors without end: they
have a pool of their own, so they take nothing from identified users.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import NamedTuple


class WaitingBounds(NamedTuple):
    """How much may wait in a lane, and for how long."""

    wait_ms: int = 7 * 86_400_000
    """Log time."""
    of_user: int = 1_000
    """Events of one user."""
    identified: int = 50_000
    identified_bytes: int = 32 << 20
    anonymous: int = 20_000
    anonymous_bytes: int = 8 << 20


class Waiting(NamedTuple):
    """One event that waits."""

    user: str
    identified: bool
    """Whether it is in the pool of the identified."""
    since: int
    """Log time from which it waits, milliseconds since 1970 UTC."""
    occurred_at: int
    offset: int
    """Of its record, for a dead letter to name."""
    forwards: int
    value: bytes
    """Its record."""


class _Pool:
    """The events of one kind, oldest first."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.bytes = 0
        self.events: OrderedDict[int, Waiting] = OrderedDict()

    def add(self, number: int, event: Waiting) -> None:
        self.events[number] = event
        self.bytes += len(event.value)

    def pop(self, number: int) -> Waiting:
        event = self.events.pop(number)
        self.bytes -= len(event.value)
        return event

    @property
    def full(self) -> bool:
        return len(self.events) > self.most or (self.bytes > self.most_bytes and len(self.events) > 1)

    def oldest(self) -> tuple[int, Waiting] | None:
        return next(iter(self.events.items()), None)


class WaitingRoom:
    """All events of one lane that wait, numbered as they come."""

    def __init__(self, bounds: WaitingBounds) -> None:
        """Start empty."""
        self.bounds = bounds
        self.last = 0
        """The number of the latest event that came to wait."""
        self._identified = _Pool(bounds.identified, bounds.identified_bytes)
        self._anonymous = _Pool(bounds.anonymous, bounds.anonymous_bytes)
        self._of_user: dict[str, deque[int]] = {}
        self._pool_of: dict[int, _Pool] = {}
        self._added: dict[int, Waiting] = {}
        self._gone: set[int] = set()
        self.added_bytes = 0
        """Of the events that `take_changes` would give now."""
        self.held = (0, 0, 0)
        """Number of the last event that came before log time stood still; the same of the last time that it went on again,
        and when it did: events after that number wait from then."""

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._pool_of)

    @property
    def identified(self) -> int:
        """How many events of identified users wait."""
        return len(self._identified.events)

    @property
    def anonymous(self) -> int:
        """How many others wait."""
        return len(self._anonymous.events)

    @property
    def bytes(self) -> int:
        """What all of them take."""
        return self._identified.bytes + self._anonymous.bytes

    def oldest(self, *, identified: bool) -> int | None:
        """Return since when the oldest of one kind waits; None: none does."""
        first = (self._identified if identified else self._anonymous).oldest()
        return self._since(*first) if first is not None else None

    def hold(self) -> None:
        """Note that log time stands still: what comes from now on is given a time that is long over."""
        self.held = (self.last, self.held[1], self.held[2])

    def go_on(self, now: int) -> None:
        """Let what came since `hold` wait from the log time that was accepted."""
        self.held = (self.held[0], self.held[0], now)

    def due(self) -> int | None:
        """Return the log time at which the next one has waited for long enough; None: none waits."""
        since = [at for at in (self.oldest(identified=True), self.oldest(identified=False)) if at is not None]
        return min(since) + self.bounds.wait_ms if since else None

    def add(self, event: Waiting) -> list[Waiting]:
        """Let an event wait; return those that have to go for it."""
        self.last += 1
        pool = self._identified if event.identified else self._anonymous
        pool.add(self.last, event)
        self._pool_of[self.last] = pool
        self._of_user.setdefault(event.user, deque()).append(self.last)
        self._added[self.last] = event
        self.added_bytes += len(event.value)
        gone = []
        if len(self._of_user[event.user]) > self.bounds.of_user:
            gone.append(self._take(self._of_user[event.user][0]))
        while pool.full:
            gone.append(self._take(next(iter(pool.events))))
        return gone

    def overdue(self, now: int) -> Waiting | None:
        """Take out one event that has waited for long enough at a log time, the oldest first; None: there is none."""
        for pool in (self._identified, self._anonymous):
            first = pool.oldest()
            if first is not None and self._since(*first) + self.bounds.wait_ms <= now:
                return self._take(first[0])
        return None

    def users(self) -> list[str]:
        """Return the users whose events wait, in order."""
        return sorted(self._of_user)

    def of(self, user: str) -> list[Waiting]:
        """Return the events of a user that wait, in order."""
        return [self._pool_of[number].events[number] for number in self._of_user.get(user, ())]

    def first_of(self, user: str) -> Waiting | None:
        """Return the oldest event of a user that waits."""
        numbers = self._of_user.get(user)
        return self._pool_of[numbers[0]].events[numbers[0]] if numbers else None

    def take_first_of(self, user: str) -> Waiting:
        """Take the oldest event of a user out."""
        return self._take(self._of_user[user][0])

    def take_changes(self) -> Iterator[tuple[int, Waiting | None]]:
        """Return and forget which came and which went since, in order; None: waits no more."""
        added, gone = self._added, self._gone
        self._added, self._gone, self.added_bytes = {}, set(), 0
        for number in sorted({*added, *gone}):
            yield number, added.get(number)

    def load(self, number: int, event: Waiting) -> None:
        """Take back one event; they come in the order of their numbers."""
        pool = self._identified if event.identified else self._anonymous
        pool.add(number, event)
        self._pool_of[number] = pool
        self._of_user.setdefault(event.user, deque()).append(number)

    def _since(self, number: int, event: Waiting) -> int:
        _, after, at = self.held
        return max(event.since, at) if number > after else event.since

    def _take(self, number: int) -> Waiting:
        event = self._pool_of.pop(number).pop(number)
        numbers = self._of_user[event.user]
        if numbers[0] == number:
            numbers.popleft()
        else:
            numbers.remove(number)
        if not numbers:
            del self._of_user[event.user]
        if self._added.pop(number, None) is not None:
            self.added_bytes -= len(event.value)  # came and went within one transaction: never written
        else:
            self._gone.add(number)
        return event
