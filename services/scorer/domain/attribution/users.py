"""
The users that a lane knows, bounded in number and bytes.

Whoever was not seen for longest goes first, and the least certain before others.
A user is kept as bytes, since a lane may know half a million. The order in which they go follows from numbers that are
part of them, so it is the same after a recovery.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np

from services.scorer.domain.attribution.membership import SERVER, KnownUser

ANONYMOUS, IDENTIFIED, CERTAIN = range(3)
"""In the order in which they go: known by an anonymous id alone; identified; identified, and a server or an operator said so."""
_AT_ONCE = 5_000


def _kind(user: KnownUser) -> int:
    if max(user.said_by, user.same_authority) >= SERVER:
        return CERTAIN
    return IDENTIFIED if user.identified else ANONYMOUS


class Users:
    """All users of one lane, at most so many and so many bytes."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """Start empty; the bytes are those of names and of what is known."""
        self.most = most
        self.most_bytes = most_bytes
        self.bytes = 0
        self.changed_bytes = 0
        """About how many bytes `take_changes` would give now."""
        self.last_seen = 0
        """The greatest number that was given to a user who was seen."""
        self.evicted = [0, 0, 0]
        """How many went because there were too many, by kind."""
        self._kinds: tuple[OrderedDict[str, bytes], ...] = (OrderedDict(), OrderedDict(), OrderedDict())
        self._changed: set[str] = set()
        self._loaded: list[tuple[str, bytes, int, int]] = []

    def __len__(self) -> int:
        """Return how many are known."""
        return sum(map(len, self._kinds))

    def counts(self) -> tuple[int, int, int]:
        """Return how many are known, by kind."""
        anonymous, identified, certain = map(len, self._kinds)
        return anonymous, identified, certain

    def get(self, name: str) -> KnownUser | None:
        """Return what is known of a user, to be changed and given to `put`."""
        for users in self._kinds:
            packed = users.get(name)
            if packed is not None:
                return KnownUser.decode(packed)
        return None

    def put(self, name: str, user: KnownUser, day: int) -> None:
        """Keep what is known of a user who is seen on a day (days since 1970 UTC)."""
        kind = _kind(user)
        users = self._kinds[kind]
        if day > user.seen_day or name not in users:
            self.last_seen += 1
            user.seen, user.seen_day = self.last_seen, max(day, user.seen_day)
            for others in self._kinds:
                self._drop(others, name)
        packed = user.encode()
        self.bytes += len(packed) - len(users[name]) if name in users else len(name) + len(packed)
        users[name] = packed
        if name not in self._changed:
            self._changed.add(name)
            self.changed_bytes += len(name) + len(packed)
        while len(self) > self.most or (self.bytes > self.most_bytes and len(self) > 1):
            self._evict()

    def touch(self, name: str, user: KnownUser, day: int) -> None:
        """Note that a known user is seen on a day; the first time of a day it is kept."""
        if day > user.seen_day:
            self.put(name, user, day)

    def forget(self, name: str) -> bool:
        """Know a user no more; return False for one who is not known."""
        known = any(name in users for users in self._kinds)
        for users in self._kinds:
            self._drop(users, name)
        if known:
            self._changed.add(name)
        return known

    def names(self) -> Iterator[str]:
        """Yield all names, in no order that lasts."""
        for users in self._kinds:
            yield from users

    def take_changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Return and forget who changed, in order; None: is known no more."""
        changed, self._changed, self.changed_bytes = sorted(self._changed), set(), 0
        for name in changed:
            yield name, next((users[name] for users in self._kinds if name in users), None)

    def load(self, name: str, packed: bytes) -> None:
        """Take back one user."""
        user = KnownUser.decode(packed)
        self._loaded.append((name, packed, user.seen, _kind(user)))

    def loading(self) -> Iterator[None]:
        """Put those who were loaded in their order, in steps of a few milliseconds."""
        loaded, self._loaded = self._loaded, []
        order = np.argsort(np.fromiter((entry[2] for entry in loaded), np.int64, len(loaded)), kind="stable")
        for n, index in enumerate(order.tolist()):
            name, packed, _, kind = loaded[index]
            self._kinds[kind][name] = packed
            self.bytes += len(name) + len(packed)
            if n % _AT_ONCE == _AT_ONCE - 1:
                yield

    def _evict(self) -> None:
        kind, users = next((kind, users) for kind, users in enumerate(self._kinds) if users)
        name = next(iter(users))
        self._drop(users, name)
        self.evicted[kind] += 1
        self._changed.add(name)

    def _drop(self, users: OrderedDict[str, bytes], name: str) -> None:
        packed = users.pop(name, None)
        if packed is not None:
            self.bytes -= len(name) + len(packed)
