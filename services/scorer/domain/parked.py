"""
Events that claim to be received more than 26 hours ahead of log time: parked until the clock gets there.

Such a claim has two causes. After a long absence of the scorer nothing has ticked, and the log goes on days later:
the claim is right. Or a machine's clock is wrong: believed, it would take log time somewhere it never comes back
from. What follows in the log tells them apart. The ticks with which a scorer catches up bring the clock to the
parked events, and they are applied; so does a full lot of them without a single tick between them, since a live log
has a tick a second. Otherwise, after an hour of ticks, they go to the dead letters. At most 1,000 wait per lane.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from services.scorer.domain.units import DAY_MS

LIMIT = 1_000
FARTHEST_MS = 400 * DAY_MS
"""Nobody was away for so long: such a claim is wrong, whatever follows."""
EXPIRE_TICKS = 3_600
"""An hour of live ticks; a catching-up ticker needs one per day of absence."""


class ParkedEvent(NamedTuple):
    """One parked event."""

    number: int
    event: dict[str, Any]
    origin: Any
    ticks: int
    """How many ticks the lane had seen when it was parked."""


class Parked:
    """The parked events of one lane in order of arrival, and what of them changed."""

    __slots__ = ("_moved", "events", "next", "releasing", "run")

    def __init__(self) -> None:
        """Start with none."""
        self.events: dict[int, ParkedEvent] = {}
        self.next = 0
        self.run = 0
        """How many were parked since the last tick."""
        self.releasing = False
        """They were believed: the clock is on its way to them."""
        self._moved: set[int] = set()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self.events)

    def add(self, event: dict[str, Any], origin: Any, ticks: int) -> bool:
        """Park an event; return False if there is no room."""
        if len(self.events) >= LIMIT:
            return False
        self.events[self.next] = ParkedEvent(self.next, event, origin, ticks)
        self._moved.add(self.next)
        self.next += 1
        self.run += 1
        return True

    def remove(self, parked: ParkedEvent) -> None:
        """Forget a parked event."""
        del self.events[parked.number]
        self._moved.add(parked.number)

    @property
    def believed(self) -> bool:
        """Whether a full lot came in without a tick between them."""
        return self.run >= LIMIT

    def earliest(self) -> int:
        """Return the earliest receipt among them, of which there is at least one."""
        return int(min(p.event["received_at"] for p in self.events.values()))

    def within(self, latest: int) -> ParkedEvent | None:
        """Return the first that was received at `latest` or before."""
        return next((p for p in self.events.values() if p.event["received_at"] <= latest), None)

    def expired(self, ticks: int) -> list[ParkedEvent]:
        """Return those that have waited too many ticks."""
        return [p for p in self.events.values() if ticks - p.ticks > EXPIRE_TICKS]

    def take_changes(self) -> list[tuple[int, bytes | None]]:
        """Return and forget the numbers that changed, with their bytes."""
        moved, self._moved = sorted(self._moved), set()
        return [(n, _pack(self.events[n][1:]) if n in self.events else None) for n in moved]

    def load(self, number: int, packed: bytes) -> None:
        """Take back one parked event; in the order of their numbers."""
        event, origin, ticks = msgspec.msgpack.decode(packed)
        self.events[number] = ParkedEvent(number, event, origin, ticks)


def _pack(parts: tuple[Any, ...]) -> bytes:
    return msgspec.msgpack.encode(parts)
