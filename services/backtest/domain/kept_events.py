"""
The events of a history in memory, by column.

As Python's tuples an event took 250 to 500 bytes, and as much again in each process that read it: counting its references
copies what processes share. Numbers in columns take 28 bytes, and are shared as long as nobody writes into them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from services.backtest.domain.history import NOTHING, Event

_REPEATED = 65_536
"""So many different properties are kept once each; of later ones each event has its own."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class KeptEvents:
    """Events in memory, in time order; they can go to another process."""

    __slots__ = ("_accounts", "_at", "_columns", "_ids", "_numbers", "_properties", "_sorts", "_users")

    def __init__(self, events: Iterable[Event] = ()) -> None:
        """Keep these, which are in time order."""
        self._at = array("q")
        self._columns = tuple(array("I") for _ in range(5))
        self._accounts: list[str] = []
        self._users: list[str] = []
        self._sorts: list[tuple[str, str, str, str, bool]] = []
        """Name, kind, actor and source, and whether it is internal: an installation has few of these."""
        self._numbers: tuple[dict[Any, int], ...] = ({}, {}, {})
        """The places in these three lists."""
        self._properties = _Texts(_REPEATED)
        self._ids = _Texts(0)
        for event in events:
            self.add(event)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._at)

    def __call__(self) -> Iterator[Event]:
        """Return them; those with the same account have the same text."""
        accounts, users, sorts = self._accounts, self._users, self._sorts
        for at, account, user, sort, properties, own_id in zip(self._at, *self._columns, strict=True):
            name, kind, actor, source, internal = sorts[sort]
            said: Mapping[str, Any] = _decode(self._properties[properties]) if properties else NOTHING
            event_id = self._ids[own_id].decode() if own_id else ""
            yield Event(
                accounts[account], users[user], at, name, said, kind, event_id, actor, source, internal
            )  # fmt: skip

    def add(self, event: Event) -> None:
        """Keep one more; call `sort` if it may be earlier than the one before."""
        accounts, users, sorts = self._numbers
        sort = (event.name, event.kind, event.actor, event.source, event.internal)
        row = (
            _place(accounts, self._accounts, event.account),
            _place(users, self._users, event.user),
            _place(sorts, self._sorts, sort),
            self._properties.add(_encode(dict(event.properties)) if event.properties else b""),
            self._ids.add(event.event_id.encode()),
        )
        self._at.append(event.at_ms)
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)

    def sort(self) -> None:
        """Put them in time order; of one time they stay in the order in which they came."""
        if not self._at:
            return
        order = np.argsort(np.frombuffer(self._at, np.int64), kind="stable")
        self._at = _in_order(self._at, order)
        self._columns = tuple(_in_order(column, order) for column in self._columns)


class _Texts:
    """Many texts in one piece of memory, each with a number; the empty one has 0."""

    __slots__ = ("_bytes", "_ends", "_remembered", "_repeated")

    def __init__(self, repeated: int) -> None:
        """Keep up to so many texts once, however often they come."""
        self._bytes = bytearray()
        self._ends = array("Q", [0])
        self._repeated = repeated
        self._remembered: dict[bytes, int] = {b"": 0}

    def __getitem__(self, number: int) -> bytes:
        return bytes(self._bytes[self._ends[number - 1] : self._ends[number]]) if number else b""

    def add(self, text: bytes) -> int:
        """Keep one and return its number."""
        known = self._remembered.get(text)
        if known is not None:
            return known
        number = len(self._ends)
        self._bytes += text
        self._ends.append(len(self._bytes))
        if number <= self._repeated:
            self._remembered[text] = number
        return number


def _place(places: dict[Any, int], values: list[Any], value: Any) -> int:
    """Return the place of a value, after putting it at the end if it is new."""
    place = places.get(value)
    if place is None:
        place = places[value] = len(values)
        values.append(value)
    return place


def _in_order(column: array[int], order: np.ndarray[Any, Any]) -> array[int]:
    found = array(column.typecode)
    found.frombytes(np.frombuffer(column, f"{column.typecode}")[order].tobytes())
    return found
