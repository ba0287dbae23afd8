"""Erasing from the store in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from services.warehouse.domain.erasing import OTHERS, PERSONAL, Erasure, Traces, follow_links
from services.warehouse.domain.rows import Place

_Row = dict[str, Any]


class MemoryErasing:
    """Keeps the `Eraser` port."""

    _tables: dict[str, dict[tuple[Any, ...], _Row]]
    _sorted: dict[str, list[_Row]]
    _orders: dict[Place, Erasure]
    _lock: threading.Lock

    def note_erasures(self, orders: Sequence[Erasure]) -> None:
        """Remember erasures."""
        with self._lock:
            for order in orders:
                before = self._orders.get(order.place)
                if before is None or not before.done:
                    self._orders[order.place] = order

    def erasures(self) -> list[Erasure]:
        """Return the erasures that are known."""
        with self._lock:
            return sorted(self._orders.values(), key=lambda order: order.place[:3])

    def erase(self, order: Erasure) -> dict[str, int]:
        """Delete and change what an erasure covers."""
        until, removed = order.place.appended_at, {}
        people = self._known()
        with self._lock:
            self._sorted.clear()
            only_there = self._only_there(order.account)
            only_there |= self._visitors(only_there)
            for table, rows in self._tables.items():
                covered = [
                    place for place, row in rows.items() if row["appended_at"] <= until and _of(row, order, only_there)
                ]
                for place in covered:
                    if order.account or table == PERSONAL:
                        del rows[place]
                    else:
                        rows[place] = _renamed(rows[place], order)
                if covered:
                    removed[table] = len(covered)
        if gone := len(people - self._known()):
            removed["people"] = gone
        return removed

    def forget_orders(self, done_for_s: int = 0) -> None:
        """Nothing is held of them."""

    def traces(self, *, user: str = "", account: str = "", linked: bool = False) -> Traces:
        """Return what is stored of a person or an account."""
        with self._lock:
            if account:
                people = self._only_there(account)
                visitors = self._visitors(people)
                whose = people | visitors
                counts = self._counts(lambda row: _of_account(row, account, whose))
                return Traces([*sorted(people), *sorted(visitors)], [], counts)
            ids, pseudonyms, others = follow_links(user, self._browsers, self._others, linked=linked)
            accounts = {row["account"] for row in self._tables["events"].values() if row["user"] in pseudonyms} - {""}
            counts = self._counts(lambda row: any(_mentions(row, each) for each in pseudonyms))
        known = len(self._known() & set(pseudonyms))
        return Traces(pseudonyms, sorted(accounts), {**counts, **({"people": known} if known else {})}, others, ids)

    def _browsers(self, users: Collection[str]) -> list[str]:
        """Return the pseudonyms of the browsers that people were seen with before signing in."""
        details = self._tables[PERSONAL].values()
        browsers = {row["anonymous_id"] for row in details if row["user"] in users} - {""}
        before = {row["user"] for row in details if not row["user_id"] and row["anonymous_id"] in browsers}
        return sorted(before - {*users, ""})

    def _others(self, pseudonyms: Collection[str]) -> dict[str, str]:
        """Return others with the same events, and their user ids: in details of theirs, or of whom they became."""
        events, details = self._tables["events"].values(), self._tables[PERSONAL].values()
        mine = {_event(row) for row in events if row["user"] in pseudonyms}
        sent = {_event(row) for row in details if row["user"] in pseudonyms and row["user_id"]}
        became = {row["user"] for row in events if row["user"] not in pseudonyms and _event(row) in sent}
        found = {
            row["user"]: row["user_id"]
            for row in details
            if row["user_id"] and row["user"] not in pseudonyms and (row["user"] in became or _event(row) in mine)
        }
        return dict(sorted(found.items(), key=lambda each: each[1])[:OTHERS])

    def _only_there(self, account: str) -> set[str]:
        """Return the people who are in this account and in no other."""
        found: dict[str, set[str]] = {}
        for table in ("events", PERSONAL):
            for row in self._tables[table].values():
                if row["user"] and row["account"]:
                    found.setdefault(row["user"], set()).add(row["account"])
        return {user for user, accounts in found.items() if accounts == {account}}

    def _visitors(self, people: AbstractSet[str]) -> set[str]:
        """Return the pseudonyms of browsers before some people, and nobody else, signed in there; none that is in an account."""
        details = self._tables[PERSONAL].values()
        signed_in = [row for row in details if row["user_id"] and row["anonymous_id"]]
        shared = {row["anonymous_id"] for row in signed_in if row["user"] not in people}
        own = {row["anonymous_id"] for row in signed_in} - shared
        found = {row["user"] for row in details if not row["user_id"] and row["anonymous_id"] in own} - {"", *people}
        rows = [*self._tables["events"].values(), *details]
        return found - {row["user"] for row in rows if row["account"]}

    def _counts(self, wanted: Callable[[_Row], bool]) -> dict[str, int]:
        counts = {table: sum(map(wanted, rows.values())) for table, rows in self._tables.items()}
        return {table: count for table, count in counts.items() if count}

    def _known(self) -> set[str]:
        with self._lock:
            return {row["user"] for row in self._tables[PERSONAL].values() if row["user_id"]}


def _event(row: _Row) -> tuple[Any, ...]:
    return row["event_id"], row["source"], row["environment"], row["occurred_at"]


def _of(row: _Row, order: Erasure, only_there: AbstractSet[str]) -> bool:
    return _mentions(row, order.user) if order.user else _of_account(row, order.account, only_there)


def _of_account(row: _Row, account: str, only_there: AbstractSet[str]) -> bool:
    """Return whether a row is of an account, or of one of its people while nobody knew of which account they are."""
    return bool(row["account"] == account) or (row["account"] == "" and row.get("user") in only_there)


def _mentions(row: _Row, user: str) -> bool:
    return row.get("user") == user or user in row.get("body", "")


def _renamed(row: _Row, order: Erasure) -> _Row:
    if "body" in row:
        return {**row, "body": row["body"].replace(order.user, order.stands_for)}
    return {**row, "user": order.stands_for}
