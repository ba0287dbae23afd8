"""
The state of one lane of attribution: its users, what waits, and how both lie on the changelog.

Keys: `u:` + user is what is known of a user, `w:` + number (eight bytes, big-endian) an event that waits; `l:clock`,
`l:aliases` and `l:ledger` are the lane's own. The first byte of a value is the version of the format; the rest is
MessagePack. A newer format is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from services.scorer.domain.attribution.ledger import AttributionCounters
from services.scorer.domain.attribution.outcome import Outcome
from services.scorer.domain.attribution.users import Users
from services.scorer.domain.attribution.waiting import Waiting, WaitingBounds, WaitingRoom
from services.scorer.domain.counters import LEDGER_KEY, decode_counters, encode_counters
from services.scorer.domain.lane.clock import LONGEST_STEP_MS
from services.scorer.domain.lane.duplicates import DuplicateWindow
from services.shared.errors import IncompatibleState
from services.shared.units import DAY_MS

FORMAT = 1
USER, WAITING = b"u:", b"w:"
CLOCK_KEY, ALIASES_KEY = b"l:clock", b"l:aliases"
USER_BYTES = 128 << 20
"""What the users of a lane take at the most, by default."""
_HEAD = bytes((FORMAT,))
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


class Clock:
    """Log time of one lane, milliseconds since 1970 UTC."""

    __slots__ = ("accepted", "asked", "now", "settled")

    def __init__(self) -> None:
        """Stand before all time."""
        self.now = 0
        self.asked = 0
        """Where a step of more than seven days would have led, that was not taken; 0: none was."""
        self.accepted = 0
        """Up to this time steps of any length are right."""
        self.settled = 0
        """All lanes have read what was on the topic at this time, and what followed from it."""

    @property
    def certain(self) -> int:
        """The time by which events have waited in vain: whatever was on the log by then has been read, by every lane."""
        return min(self.now, self.settled)

    def move(self, at: int) -> bool | None:
        """Move to the time of a record, if it is later; return whether it is, None if the step is too long."""
        if at <= self.now:
            return False
        if self.now and at - self.now > LONGEST_STEP_MS and at > self.accepted:
            self.asked = at
            return None
        self.now = at
        self.asked = 0
        return True


class AttributionState:
    """Everything that the records of one lane have led to."""

    def __init__(
        self, duplicate_ids: int, bounds: WaitingBounds, most_users: int, user_bytes: int = USER_BYTES
    ) -> None:
        """Start empty; the duplicate window holds at most `duplicate_ids` identities."""
        self.clock = Clock()
        self.users = Users(most_users, user_bytes)
        self.waiting = WaitingRoom(bounds)
        self.ids = DuplicateWindow(duplicate_ids)
        self.aliases: dict[str, str] = {}
        """The account, by alias."""
        self.ledger = AttributionCounters()
        self.outcomes: list[Outcome] = []
        self.moved = False
        """Clock or ledger changed."""
        self.aliases_moved = False
        self._ids_stood: tuple[int, tuple[int, int], int] = (0, (0, 0), 0)

    @property
    def day(self) -> int:
        """Today by log time, days since 1970 UTC."""
        return self.clock.now // DAY_MS

    @property
    def changed_bytes(self) -> int:
        """About how many bytes `take_changes` would give now."""
        return self.waiting.added_bytes + self.users.changed_bytes

    def take_changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Return and forget the state records that changed, in a fixed order."""
        for name, packed in self.users.take_changes():
            yield USER + name.encode(), None if packed is None else _HEAD + packed
        for number, event in self.waiting.take_changes():
            yield WAITING + number.to_bytes(8, "big"), None if event is None else _HEAD + _pack(event)
        if self.aliases_moved:
            yield ALIASES_KEY, _HEAD + _pack(sorted(self.aliases.items()))
        if self.moved:
            yield CLOCK_KEY, _HEAD + _pack(self._lane())
            yield LEDGER_KEY, encode_counters(self.counted())
        self.moved = self.aliases_moved = False

    def counted(self) -> AttributionCounters:
        """Return the counters, with what waits now and what the bounds have cost."""
        ledger = self.ledger
        ledger.waiting_identified, ledger.waiting_anonymous = self.waiting.identified, self.waiting.anonymous
        evicted = self.users.evicted
        ledger.users_evicted_anonymous, ledger.users_evicted_identified, ledger.users_evicted_certain = evicted
        return ledger

    def restore(self, key: bytes, value: bytes) -> None:
        """
        Take back one state record; events that wait come in the order of their keys.

        Raises:
            IncompatibleState: it was written in a newer format.
        """
        if key == LEDGER_KEY:
            self.ledger = decode_counters(value, AttributionCounters)
            return
        if not value or value[0] > FORMAT:
            raise IncompatibleState(
                f"the state of attribution is of format {value[:1].hex()}, this version reads up to {FORMAT}:"
                " run the version that wrote it, or a later one"
            )
        body = value[1:]
        if key.startswith(USER):
            self.users.load(key[len(USER) :].decode(), body)
        elif key.startswith(WAITING):
            self.waiting.load(int.from_bytes(key[len(WAITING) :], "big"), Waiting(*_unpack(body)))
        elif key == ALIASES_KEY:
            self.aliases = dict(_unpack(body))
        elif key == CLOCK_KEY:
            clock = self.clock
            lane = _unpack(body)
            clock.now, clock.asked, clock.accepted, clock.settled = lane[0]
            self.users.last_seen, self.waiting.last = lane[1:3]
            hour, oldest, shortened, held = lane[3:7]
            self.waiting.held = (held[0], held[1], held[2])
            self._ids_stood = (hour, (oldest[0], oldest[1]), shortened)

    def restoring(self) -> Iterator[None]:
        """Finish after the last record of both stores, in steps that each take a few milliseconds."""
        ledger = self.ledger
        self.users.evicted = [
            ledger.users_evicted_anonymous, ledger.users_evicted_identified, ledger.users_evicted_certain,
        ]  # fmt: skip
        yield from self.users.loading()
        yield from self.ids.loading(*self._ids_stood)

    def _lane(self) -> tuple[Any, ...]:
        clock, ids = self.clock, self.ids
        return (
            (clock.now, clock.asked, clock.accepted, clock.settled), self.users.last_seen, self.waiting.last,
            ids.hour, ids.oldest, ids.shortened, self.waiting.held,
        )  # fmt: skip
