"""
Erasing in ClickHouse: mutations of every table that has a person or an account, whichever tables there are.

Each is waited for. What the server says to a mutation that was cut short is no harm: an erasure can be repeated.
"""

# ruff: noqa: S608  names come from system.columns; what people send goes in as parameters

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.shared.errors import Retryable
from services.warehouse.clickhouse.asking import BOUNDED, answered
from services.warehouse.clickhouse.derived import BY_DAY, selection
from services.warehouse.domain.erasing import OTHERS, PERSONAL, Erasure, Traces, follow_links
from services.warehouse.domain.rows import Place

log = logging.getLogger(__name__)

_OURS = frozenset({"erasures", "positions", "migrations"})
_WAIT = {"mutations_sync": 1}
_COLUMNS = (
    "topic",
    "partition",
    "offset",
    "appended_at",
    "user",
    "stands_for",
    "account",
    "at",
    "by",
    "done",
    "removed",
)
_TABLES = """SELECT table, groupArray(name) FROM system.columns WHERE database = currentDatabase() AND table IN (
    SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
) GROUP BY table ORDER BY table"""
_BROWSERS = f"""SELECT DISTINCT user FROM {PERSONAL} WHERE user != '' AND user_id = '' AND anonymous_id IN (
    SELECT anonymous_id FROM {PERSONAL} WHERE user IN %(users)s AND anonymous_id != ''
) AND user NOT IN %(users)s ORDER BY user"""
_EVENT = "event_id, source, environment, occurred_at"
_OTHERS = f"""SELECT user, any(user_id) AS id FROM (
    SELECT user, user_id FROM {PERSONAL} WHERE user_id != '' AND user NOT IN %(users)s
        AND ({_EVENT}) IN (SELECT {_EVENT} FROM events WHERE user IN %(users)s)
    UNION ALL
    SELECT user, user_id FROM people WHERE user IN (
        SELECT user FROM events WHERE user != '' AND user NOT IN %(users)s
            AND ({_EVENT}) IN (SELECT {_EVENT} FROM {PERSONAL} WHERE user IN %(users)s AND user_id != '')
    )
) GROUP BY user ORDER BY id LIMIT {OTHERS}"""
_MEMBERS = f"""SELECT user FROM events WHERE account = %(account)s AND user != ''
    UNION DISTINCT SELECT user FROM {PERSONAL} WHERE account = %(account)s AND user != ''"""
_ONLY_THERE = f"""SELECT user FROM (SELECT user, account FROM events UNION ALL SELECT user, account FROM {PERSONAL})
    WHERE account != '' AND user IN ({_MEMBERS}) GROUP BY user HAVING uniqExact(account) = 1 ORDER BY user"""
_VISITORS = f"""SELECT DISTINCT user FROM {PERSONAL} WHERE user != '' AND user_id = '' AND anonymous_id IN (
    SELECT anonymous_id FROM {PERSONAL} WHERE anonymous_id != '' AND user_id != ''
    GROUP BY anonymous_id HAVING countIf(user NOT IN ({_ONLY_THERE})) = 0
) ORDER BY user"""
_SET_ASIDE = """SELECT concat(table, '/', name) FROM system.detached_parts
    WHERE database = currentDatabase() AND table IN %(tables)s ORDER BY table, name LIMIT 100"""
_NOT_LISTED = "unknown: the user of CLICKHOUSE_URL has no right to read system.detached_parts"
_BEFORE = "appended_at <= fromUnixTimestamp64Milli(toInt64(%(until)s))"
_AT_ONCE = 1_000
_NEEDLES = 255
"""The most that ClickHouse searches a text for at once: a loop over the names takes more than twice the time."""
_DONE_LONG_AGO_S = 3_600
"""Until then a power cut may bring back a part of before a mutation, to which the engine applies it once more."""
_DONE = (
    "KILL MUTATION WHERE database = currentDatabase() AND is_done AND create_time <= now() - toIntervalSecond(%(ago)s)"
)


class ClickHouseErasing:
    """Keeps the `Eraser` port."""

    _writer: Client
    _bounds: Mapping[str, Any] = {}
    """Settings of what is read."""

    def note_erasures(self, orders: Sequence[Erasure]) -> None:
        """Remember erasures."""
        if orders:
            rows = [
                [*each.place, each.user, each.stands_for, each.account, each.at, each.by, int(each.done), _text(each)]
                for each in orders
            ]
            with answered():
                self._writer.insert("erasures", rows, column_names=_COLUMNS, settings={"async_insert": 0})

    def erasures(self) -> list[Erasure]:
        """Return the erasures that are known."""
        query = """SELECT topic, partition, offset, toUnixTimestamp64Milli(appended_at), user, stands_for, account,
            toUnixTimestamp64Milli(at), by, done, removed FROM erasures FINAL ORDER BY topic, partition, offset"""
        return [
            Erasure(Place(*place), user, stands_for, account, at, by, bool(done), msgspec.json.decode(removed or "{}"))
            for *place, user, stands_for, account, at, by, done, removed in self._rows(query)
        ]

    def erase(self, order: Erasure) -> dict[str, int]:
        """Delete and change what an erasure covers."""
        return self._erase_person(order) if order.user else self._erase_account(order)

    def forget_orders(self, done_for_s: int = _DONE_LONG_AGO_S) -> None:
        """
        Delete what the engine keeps of mutations that are done: their texts name accounts, and lead from a pseudonym to the one in its place.

        By itself it keeps the last hundred of each table, for ever. A server may not let us; that keeps nothing from being stored.
        """
        try:
            self._writer.command(_DONE, parameters={"ago": done_for_s})
        except (ClickHouseError, OSError) as error:
            log.warning("orders_not_forgotten", extra={"error": str(error)[:500]})

    def traces(self, *, user: str = "", account: str = "", linked: bool = False) -> Traces:
        """Return what is stored of a person or an account."""
        rows: dict[str, int] = {}
        if account:
            only_there = self._only_there(account)
            only_there += self._visitors(account, only_there)
            for table, columns in self._tables().items():
                if "account" in columns:
                    rows[table] = self._how_many(table, "account = %(account)s", account=account)
                if {"account", "user"} <= set(columns):
                    nowhere = "account = '' AND user IN %(users)s"
                    rows[table] += sum(self._how_many(table, nowhere, users=some) for some in _parts(only_there))
            counts = {table: count for table, count in rows.items() if count}
            return Traces(only_there, [], counts, set_aside=self._set_aside())
        ids, pseudonyms, others = follow_links(user, self._browsers, self._others, linked=linked)
        for table, columns in self._tables().items():
            if "user" in columns:
                rows[table] = self._how_many(table, "user IN %(users)s", users=pseudonyms)
            elif "body" in columns:
                given = {f"some_{number}": some for number, some in enumerate(_parts(pseudonyms, _NEEDLES))}
                named = " OR ".join(f"multiSearchAny(body, %({some})s)" for some in given)
                rows[table] = self._how_many(table, named, **given)
        counts = {table: count for table, count in rows.items() if count}
        return Traces(pseudonyms, self._accounts(pseudonyms), counts, others, ids, self._set_aside())

    def _set_aside(self) -> list[str]:
        try:
            return [row[0] for row in self._rows(_SET_ASIDE, tables=list(self._tables()))]
        except Retryable as error:
            if "ACCESS_DENIED" not in error.detail:
                raise
            return [_NOT_LISTED]

    def _browsers(self, users: list[str]) -> list[str]:
        return [row[0] for row in self._rows(_BROWSERS, users=users)]

    def _others(self, users: list[str]) -> dict[str, str]:
        return {row[0]: row[1] for row in self._rows(_OTHERS, users=users)}

    def _erase_person(self, order: Erasure) -> dict[str, int]:
        """
        Change what is of the person, whatever tables there are.

        Only tables by day are made of another one, of events, which have changed before: an erasure that was cut short can be repeated whole.
        """
        removed: dict[str, int] = {}
        given = {"user": order.user, "new": order.stands_for, "until": order.place.appended_at}
        tables = self._tables()
        for table, columns in tables.items():
            if table in BY_DAY:
                continue
            if "user_id" in columns:
                whole = "user = %(user)s" if table == "people" else f"user = %(user)s AND {_BEFORE}"
                removed[table] = self._mutate(table, "DELETE", whole, **given)
            elif "body" in columns:
                mentions = f"position(body, %(user)s) > 0 AND {_BEFORE}"
                change = "UPDATE body = replaceAll(body, %(user)s, %(new)s)"
                removed[table] = self._mutate(table, change, mentions, **given)
            elif "user" in columns:
                removed[table] = self._mutate(table, "UPDATE user = %(new)s", f"user = %(user)s AND {_BEFORE}", **given)
        # Who has come back since has details again, and is known by them.
        self._command(
            f"""INSERT INTO people SELECT user, any(user_id), max(appended_at) FROM {PERSONAL}
            WHERE user = %(user)s AND user_id != '' GROUP BY user""",
            user=order.user,
        )
        both = "user IN (%(user)s, %(new)s)"
        for table in BY_DAY:
            if "user" in tables[table]:
                removed[table] = self._make_again(table, "user = %(user)s", both, **given)
        return {table: count for table, count in removed.items() if count}

    def _erase_account(self, order: Erasure) -> dict[str, int]:
        """
        Delete the account, and what its people did while nobody knew of which account they are.

        Who they are is read from events, which therefore go last: an erasure that was cut short finds them again. Which
        visitors they were is read from details alone, so these go once nothing else is left of the visitors.
        """
        given = {"account": order.account, "until": order.place.appended_at}
        nowhere = f"account = '' AND user IN %(users)s AND {_BEFORE}"
        only_there = self._only_there(order.account)
        visits: dict[str, int] = {}
        visitors = self._visitors(order.account, only_there)
        for table in ("events", PERSONAL):
            visits[table] = sum(
                self._mutate(table, "DELETE", nowhere, **given, users=some) for some in _parts(visitors)
            )
        removed = {"people": self._forget_people(only_there, given)}
        for table, columns in sorted(self._tables().items(), key=lambda each: (each[0] == "events", each[0])):
            if table in BY_DAY:
                continue
            if {"account", "user"} <= set(columns):
                removed[table] = visits.get(table, 0) + sum(
                    self._mutate(table, "DELETE", nowhere, **given, users=some) for some in _parts(only_there)
                )
            if "account" in columns:
                whole = f"account = %(account)s AND {_BEFORE}"
                removed[table] = removed.get(table, 0) + self._mutate(table, "DELETE", whole, **given)
        for table in BY_DAY:
            removed[table] = self._make_again(table, "account = %(account)s", "account = %(account)s", **given)
        return {table: count for table, count in removed.items() if count}

    def _forget_people(self, only_there: Sequence[str], given: Mapping[str, Any]) -> int:
        """Delete whom pseudonyms stand for, of the account's people who have no details but those that go with it."""
        removed, alone = 0, set(only_there)
        for some in _parts([row[0] for row in self._rows(_MEMBERS, **given)]):
            own = [user for user in some if user in alone] or [""]
            stays = f"""SELECT DISTINCT user FROM {PERSONAL} WHERE user IN %(users)s AND user_id != '' AND NOT (
                {_BEFORE} AND (account = %(account)s OR account = '' AND user IN %(own)s))"""
            left = {row[0] for row in self._rows(stays, users=some, own=own, **given)}
            gone = [user for user in some if user not in left]
            if gone:
                removed += self._mutate("people", "DELETE", "user IN %(users)s", users=gone)
        return removed

    def _only_there(self, account: str) -> list[str]:
        """Return the people who are in this account and in no other."""
        return [row[0] for row in self._rows(_ONLY_THERE, account=account)]

    def _visitors(self, account: str, only_there: Sequence[str]) -> list[str]:
        """Return the pseudonyms of browsers before people of this account, and nobody else, signed in there; none that is in an account."""
        known = set(only_there)
        found = [row[0] for row in self._rows(_VISITORS, account=account) if row[0] not in known]
        members = f"SELECT DISTINCT user FROM (SELECT user, account FROM events UNION ALL SELECT user, account FROM {PERSONAL})"
        query = f"{members} WHERE account != '' AND user IN %(users)s"
        elsewhere = {row[0] for some in _parts(found) for row in self._rows(query, users=some)}
        return [user for user in found if user not in elsewhere]

    def _accounts(self, users: Sequence[str]) -> list[str]:
        query = "SELECT DISTINCT account FROM events WHERE user IN %(users)s AND account != '' ORDER BY account"
        return [row[0] for row in self._rows(query, users=list(users))]

    def _mutate(self, table: str, what: str, where: str, **given: Any) -> int:
        """Change or delete rows; return how many there were, and do nothing where there are none."""
        count = self._how_many(table, where, **given)
        if count:
            self._command(f"ALTER TABLE {table} {what} WHERE {where}", **given)
        return count

    def _make_again(self, table: str, gone: str, source: str, **given: Any) -> int:
        """Delete rows, and store those that the events that are left make; return how many fewer there are. A row stands for many events, of before and after."""
        before = self._mutate(table, "DELETE", gone, **given)
        self._command(f"INSERT INTO {table} {selection(self._writer, table, source)}", **given)
        return max(0, before - self._how_many(table, gone, **given))

    def _how_many(self, table: str, where: str, **given: Any) -> int:
        return int(self._rows(f"SELECT count() FROM {table} WHERE {where}", **given)[0][0])

    def _tables(self) -> dict[str, list[str]]:
        return {table: columns for table, columns in self._rows(_TABLES) if table not in _OURS}

    def _rows(self, query: str, **given: Any) -> Sequence[Sequence[Any]]:
        with answered():
            return self._writer.query(query, given, dict(self._bounds)).result_rows

    def _command(self, command: str, **given: Any) -> None:
        with answered():
            self._writer.command(command, parameters=given, settings=_WAIT)


class ClickHouseTraces(ClickHouseErasing):
    """Reads what erasures ask of the store, on a connection of questions and with their limit of time."""

    _bounds = BOUNDED

    def __init__(self, reader: Client) -> None:
        self._writer = reader


def _parts(users: Sequence[str], at_once: int = _AT_ONCE) -> Iterator[Sequence[str]]:
    """Yield names, as many at once as a query takes."""
    for start in range(0, len(users), at_once):
        yield users[start : start + at_once]


def _text(order: Erasure) -> str:
    return msgspec.json.encode(order.removed).decode() if order.done else ""
