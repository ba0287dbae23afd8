"""
What was stored lately, numbered, for those who listen.

The last things are held in memory, and each listener goes through them at its own pace. One that is too far behind, or comes
back to another process, is told to `reload`: nothing is kept for it, so it costs nothing.
"""

from __future__ import annotations

import asyncio
import heapq
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec

from services.warehouse.domain import people, presentation
from services.warehouse.domain.blocks import Block
from services.warehouse.domain.rows import FORGOTTEN, Row, columns
from services.warehouse.ports import Found, Queries

HELD = 1_000
"""Things that are held; a listener that is further behind reloads."""

ARRIVED = 200
"""Events that are held for who looks at what comes in. They are not streamed: there may be 100,000 a second."""


_appended_at = itemgetter(columns("events").index("appended_at"))


class StoredNews:
    """One thing that was stored."""

    __slots__ = ("account", "data", "kind", "number", "row")

    def __init__(self, number: int, kind: str, row: Found) -> None:
        self.number = number
        self.kind = kind
        self.account: str = row["account"]
        self.row = row
        self.data: bytes | None = None
        """As it is sent, once somebody has wanted it."""


class Feed:
    """The latest news of one process. All but `written` belongs to the event loop."""

    def __init__(self, store: Callable[[], Queries]) -> None:
        self._store = store
        self._life = secrets.token_hex(4)
        self._held: deque[StoredNews] = deque(maxlen=HELD)
        self._writing = asyncio.Lock()
        self._erasures = 0
        self.last = 0
        """The number of the latest news."""
        self.fresh = asyncio.Event()
        """Set when there are news after those that were there when it was taken."""
        self.closed = False
        self.arrived: list[Row] = []
        """The events that Kafka took last of those that were stored, latest first, as rows; never changed, but replaced."""
        self.events_stored = 0
        """How many there have been in this process."""

    def publish(self, stored: Mapping[str, Sequence[Row]], erased: bool = False) -> None:
        """
        Take rows that were stored, by table; of an account's snapshots the last one.

        Args:
            stored: The rows.
            erased: Whether anybody was erased with them: they may be in what is held, so it goes, and listeners reload. They
                may be among these events too, as people of an erased account who were not known as such.
        """
        events = stored.get("events", ())
        self.events_stored += len(events)
        if erased:
            self._held.clear()
            self.arrived = []
            self._erasures += 1
            self.last += 1  # a cursor from before leads nowhere now
        else:
            # Backwards: once the latest are found, few others ever enter the heap.
            latest = events.latest(ARRIVED) if isinstance(events, Block) else reversed(events)
            self.arrived = heapq.nlargest(ARRIVED, chain(latest, self.arrived), key=_appended_at)
        health = {row["account"]: row for row in _rows(stored, "account_health")}
        for row in health.values():
            self._add("forgotten" if row["reason"] == FORGOTTEN else "health", row)
        for row in _rows(stored, "signals"):
            self._add("signal", row)
        self._wake()

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        self._wake()

    def cursor(self, number: int) -> str:
        """Return the id of news."""
        return f"{self._life}-{number}"

    @property
    def erasures(self) -> str:
        """Return a mark that changes whenever somebody is erased."""
        return self.cursor(self._erasures)

    def position(self, cursor: str) -> int | None:
        """Return the number that a cursor stands for; None where what came after it is not known any more."""
        life, _, number = cursor.partition("-")
        if life != self._life or not number.isdecimal() or not number.isascii() or len(number) > 18:
            return None
        return int(number) if self.reaches(int(number)) else None

    def reaches(self, number: int) -> bool:
        """Return whether all news after a number are still held."""
        return self.last - len(self._held) <= number <= self.last

    def after(self, number: int, account: str, most: int) -> list[StoredNews]:
        """Return some of the news after a number, of one account or of all."""
        found: list[StoredNews] = []
        for news in self._held:
            if news.number > number and account in ("", news.account):
                found.append(news)
                if len(found) == most:
                    break
        return found

    async def written(self, news: Sequence[StoredNews]) -> list[bytes]:
        """
        Return news as they are sent; what nobody has wanted before is asked for in a thread.

        Raises:
            Retryable: the store does not answer.
        """
        async with self._writing:
            new = [each for each in news if each.data is None]
            if new:
                for each, data in zip(new, await asyncio.to_thread(_told, self._store(), new), strict=True):
                    each.data = data
        return [each.data or b"" for each in news]

    def _add(self, kind: str, row: Found) -> None:
        self.last += 1
        self._held.append(StoredNews(self.last, kind, row))

    def _wake(self) -> None:
        fresh, self.fresh = self.fresh, asyncio.Event()
        fresh.set()


def _rows(stored: Mapping[str, Sequence[Row]], table: str) -> list[Found]:
    names = columns(table)
    return [dict(zip(names, row, strict=True)) for row in stored.get(table, ())]


def _told(store: Queries, news: Sequence[StoredNews]) -> list[bytes]:
    """Return news as lists have them."""
    counts: dict[str, list[Found]] = {}
    accounts = sorted({each.account for each in news if each.kind == "health"})
    tenths = store.risk_tenths(accounts)
    for count in store.open_signals(accounts):
        counts.setdefault(count["account"], []).append(count)
    told = [_one(each, counts, tenths.get(each.account)) for each in news]
    names = store.people(sorted(people.pseudonyms_in(told)))
    return [msgspec.json.encode(people.named(each, names)) for each in told]


def _one(news: StoredNews, counts: Mapping[str, list[Found]], tenth: int | None) -> dict[str, Any]:
    if news.kind == "health":
        return presentation.account(news.row, counts.get(news.account, ()), tenth)
    if news.kind == "signal":
        return presentation.signal(msgspec.json.decode(news.row["body"]))
    return {"account": news.account}
