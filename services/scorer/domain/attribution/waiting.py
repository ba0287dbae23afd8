"""
The events that wait for an account, bounded in time, number and bytes, those of identified users apart from the rest.

An event waits as the bytes of its record. Whoever makes a page ask for it can have anonymous visitors without end: they
have a pool of their own, so they take nothing from identified users. And anyone who copies the key of a browser can send
events of any user: in each pool, and of each user, the events of browsers go before the first one of a server does.
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
    of_server: bool
    """Whether it was sent with a server's key."""
    since: int
    """Log time from which it waits, milliseconds since 1970 UTC."""
    occurred_at: int
    offset: int
    """The offset of its record, which a dead letter names."""
    forwards: int
    value: bytes
    """Its record."""


class _Pool:
    """The events of one kind: those of browsers and those of servers, each oldest first."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.bytes = 0
        self.of: tuple[OrderedDict[int, Waiting], OrderedDict[int, Waiting]] = (OrderedDict(), OrderedDict())
        """The events from browsers, and those from servers."""

    def __len__(self) -> int:
        browsers, servers = self.of
        return len(browsers) + len(servers)

    def add(self, number: int, event: Waiting) -> None:
        self.of[event.of_server][number] = event
        self.bytes += len(event.value)

    def get(self, number: int) -> Waiting:
        browsers, servers = self.of
        return browsers.get(number) or servers[number]

    def pop(self, number: int) -> Waiting:
        browsers, servers = self.of
        event = browsers.pop(number, None) or servers.pop(number)
        self.bytes -= len(event.value)
        return event

    @property
    def full(self) -> bool:
        return len(self) > self.most or (self.bytes > self.most_bytes and len(self) > 1)

    def first_to_go(self) -> int:
        """Return the number of the oldest event of a browser, of a server where there is none."""
        browsers, servers = self.of
        return next(iter(browsers or servers))

    def oldest(self) -> tuple[int, Waiting] | None:
        heads = [next(iter(events.items())) for events in self.of if events]
        return min(heads) if heads else None


class WaitingRoom:
    """All events of one lane that wait, numbered as they come."""

    def __init__(self, bounds: WaitingBounds) -> None:
        """Start empty."""
        self.bounds = bounds
        self.last = 0
        """The number of the latest event that came to wait."""
        self._identified = _Pool(bounds.identified, bounds.identified_bytes)
        self._anonymous = _Pool(bounds.anonymous, bounds.anonymous_bytes)
        self._of_user: tuple[dict[str, deque[int]], dict[str, deque[int]]] = ({}, {})
        """The numbers of each user's events: of browsers, of servers."""
        self._pool_of: dict[int, _Pool] = {}
        self._added: dict[int, Waiting] = {}
        self._gone: set[int] = set()
        self.added_bytes = 0
        """The size of the events that `take_changes` would give now."""
        self.held = (0, 0, 0)
        """Number of the last event that came before log time stood still; the same of the last time that it went on again,
        and when it did: events after that number wait from then."""

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._pool_of)

    @property
    def identified(self) -> int:
        """How many events of identified users wait."""
        return len(self._identified)

    @property
    def anonymous(self) -> int:
        """How many others wait."""
        return len(self._anonymous)

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
        self._of_user[event.of_server].setdefault(event.user, deque()).append(self.last)
        self._added[self.last] = event
        self.added_bytes += len(event.value)
        gone = []
        theirs = [numbers for of_user in self._of_user if (numbers := of_user.get(event.user))]
        if sum(map(len, theirs)) > self.bounds.of_user:
            gone.append(self._take(theirs[0][0]))
        while pool.full:
            gone.append(self._take(pool.first_to_go()))
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
        browsers, servers = self._of_user
        return sorted(browsers.keys() | servers.keys())

    def of(self, user: str) -> list[Waiting]:
        """Return the events of a user that wait, in order."""
        numbers = sorted(number for of_user in self._of_user for number in of_user.get(user, ()))
        return [self._pool_of[number].get(number) for number in numbers]

    def first_of(self, user: str) -> Waiting | None:
        """Return the oldest event of a user that waits."""
        number = self._first_of(user)
        return None if number is None else self._pool_of[number].get(number)

    def take_first_of(self, user: str) -> Waiting:
        """
        Take the oldest event of a user out.

        Raises:
            KeyError: none waits.
        """
        number = self._first_of(user)
        if number is None:
            raise KeyError(user)
        return self._take(number)

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
        self._of_user[event.of_server].setdefault(event.user, deque()).append(number)

    def _first_of(self, user: str) -> int | None:
        return min((of_user[user][0] for of_user in self._of_user if user in of_user), default=None)

    def _since(self, number: int, event: Waiting) -> int:
        _, after, at = self.held
        return max(event.since, at) if number > after else event.since

    def _take(self, number: int) -> Waiting:
        event = self._pool_of.pop(number).pop(number)
        of_user = self._of_user[event.of_server]
        numbers = of_user[event.user]
        if numbers[0] == number:
            numbers.popleft()
        else:
            numbers.remove(number)
        if not numbers:
            del of_user[event.user]
        if self._added.pop(number, None) is not None:
            self.added_bytes -= len(event.value)  # came and went within one transaction: never written
        else:
            self._gone.add(number)
        return event
