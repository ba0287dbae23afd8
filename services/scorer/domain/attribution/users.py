"""
The users that a lane knows, bounded: whoever was not seen for longest goes first, and the least certain before others.

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
    if max(user.authority, user.named_authority, user.same_authority) >= SERVER:
        return CERTAIN
    return IDENTIFIED if user.identified else ANONYMOUS


class Users:
    """All users of one lane, at most so many."""

    def __init__(self, most: int) -> None:
        """Start empty."""
        self.most = most
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
                others.pop(name, None)
        users[name] = user.encode()
        self._changed.add(name)
        while len(self) > self.most:
            self._evict()

    def touch(self, name: str, user: KnownUser, day: int) -> None:
        """Note that a known user is seen on a day; the first time of a day it is kept."""
        if day > user.seen_day:
            self.put(name, user, day)

    def names(self) -> Iterator[str]:
        """Yield all names, in no order that lasts."""
        for users in self._kinds:
            yield from users

    @property
    def changed_count(self) -> int:
        """How many records `take_changes` would give now."""
        return len(self._changed)

    def take_changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Return and forget who changed, in order; None: is known no more."""
        changed, self._changed = sorted(self._changed), set()
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
            if n % _AT_ONCE == _AT_ONCE - 1:
                yield

    def _evict(self) -> None:
        kind, users = next((kind, users) for kind, users in enumerate(self._kinds) if users)
        name, _ = users.popitem(last=False)
        self.evicted[kind] += 1
        self._changed.add(name)
