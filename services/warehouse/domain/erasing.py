"""
Erasures of people and accounts, as they are ordered on the log, and what they mean for rows that are read later.

Of a person, what says who they are is deleted: details of events, and the user id behind the pseudonym. Where numbers of
people count them, a random pseudonym takes the place of theirs, so that the numbers stay and lead to nobody. Of an account,
every row is deleted. Both cover what was appended before the order; who comes back afterwards is somebody new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from services.warehouse.domain.blocks import Block
from services.warehouse.domain.parameters import FlagParameter
from services.warehouse.domain.people import named, pseudonyms_in
from services.warehouse.domain.rows import Place, Row, Value, columns, instant

PERSONAL = "event_details"
"""The table whose rows say who somebody is."""
OTHERS = 100
LINKED = FlagParameter("linked", "Also what is stored under ids that `alias` calls have linked.", default=False)


class Erasure(NamedTuple):
    """One order; either `user` or `account` is given."""

    place: Place
    user: str
    """Pseudonym of the person."""
    stands_for: str
    """The random pseudonym that takes its place."""
    account: str
    at: int
    """When it was ordered, milliseconds since 1970 UTC."""
    by: str
    done: bool = False
    removed: Mapping[str, int] = {}
    """Rows that were deleted or changed, by table; once it is done."""


class Traces(NamedTuple):
    """What is stored of one person or account."""

    pseudonyms: list[str]
    """
    Of the person: the one asked for, those of linked ids where they are asked for, and those of the browsers that the person
    was seen with before. Of an account: the people who are in no other, then visitors of browsers where only they signed in.
    """
    accounts: list[str]
    """In whose events the person is."""
    rows: dict[str, int]
    """How many there are, by table; those without any are left out."""
    others: Sequence[str] = ()
    """
    Of the person: user ids under which the same events were sent or are kept, since an `alias` call linked them, and whose
    pseudonyms are not in `pseudonyms`. No more than OTHERS.
    """
    linked: Sequence[str] = ()
    """User ids like these whose pseudonyms are, where they are asked for; and those that are linked to them, and so on."""
    set_aside: Sequence[str] = ()
    """Parts of tables, table/part, that the store has set aside: they may hold rows of anybody, and no erasure reaches into them."""


def follow_links(
    user: str,
    browsers: Callable[[list[str]], list[str]],
    others: Callable[[list[str]], dict[str, str]],
    *,
    linked: bool,
) -> tuple[list[str], list[str], list[str]]:
    """
    Return a person's linked user ids, if they are asked for, all pseudonyms, and the user ids that are linked to these.

    Args:
        user: Pseudonym of the person.
        browsers: Returns the pseudonyms of browsers that people were seen with.
        others: Returns pseudonyms with the same events, by pseudonym with the user id.
        linked: Whether what is linked is asked for, step by step and up to OTHERS ids.
    """
    ids: dict[str, str] = {}
    while True:
        named = [user, *ids]
        pseudonyms = [*named, *browsers(named)]
        found = others(pseudonyms)
        if not linked or not found or len(ids) + len(found) > OTHERS:
            return list(ids.values()), pseudonyms, list(found.values())
        ids |= found


def erasure(place: Place, value: Value) -> Erasure:
    """Return the erasure that a record orders."""
    return Erasure(place, value["user"], value["stands_for"], value["account"], instant(value["at"]), value["by"])


class Withheld:
    """The erasures that are known: what they cover is stored no more, however late it is read."""

    def __init__(self, known: Iterable[Erasure]) -> None:
        """Take the erasures that are known."""
        self._users: dict[str, Erasure] = {}
        self._accounts: dict[str, Erasure] = {}
        self._until = -1
        """When the latest order was appended: newer rows are covered by none."""
        for each in known:
            self.add(each)

    def add(self, order: Erasure) -> None:
        """Take in one more; of several for the same, the latest covers the others."""
        known, name = (self._users, order.user) if order.user else (self._accounts, order.account)
        before = known.get(name)
        if before is None or before.place.appended_at <= order.place.appended_at:
            known[name] = order
        self._until = max(self._until, order.place.appended_at)

    def stored(self, table: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Return those rows that are to be stored, as they are to be stored: a block whole, where every order is older than all of it."""
        if not self._users and not self._accounts:
            return rows
        if isinstance(rows, Block) and rows.newer_than(self._until):
            return rows
        names = columns(table)
        appended = names.index("appended_at")
        found = (row if row[appended] > self._until else self._covered(table, names, row) for row in rows)
        return [row for row in found if row is not None]

    def _covered(self, table: str, names: tuple[str, ...], row: Row) -> Row | None:
        """Return a row as it is to be stored; None: it is not."""
        appended_at = row[names.index("appended_at")]
        order = self._accounts.get(row[names.index("account")])
        if order is not None and appended_at <= order.place.appended_at:
            return None
        if "body" in names:
            body = names.index("body")
            return _with(row, body, self._renamed(row[body], appended_at))
        if "user" not in names:
            return row
        user = names.index("user")
        new = self._instead(row[user], appended_at)
        if new == row[user]:
            return row
        return None if table == PERSONAL else _with(row, user, new)

    def _instead(self, user: str, appended_at: int) -> str:
        """Return the pseudonym that is to be stored for one of a record that was appended then."""
        order = self._users.get(user)
        return user if order is None or appended_at > order.place.appended_at else order.stands_for

    def _renamed(self, body: str, appended_at: int) -> str:
        names = {user: self._instead(user, appended_at) for user in pseudonyms_in(body)}
        return str(named(body, names))


def _with(row: Row, place: int, value: str) -> Row:
    return (*row[:place], value, *row[place + 1 :])
