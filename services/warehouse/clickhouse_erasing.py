"""
Erasing in ClickHouse: mutations of every table that has a person or an account, whichever tables there are.

Each is waited for. What the server says to a mutation that was cut short is no harm: an erasure can be repeated.
"""

# ruff: noqa: S608  names come from system.columns; what people send goes in as parameters

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.shared.errors import Retryable
from services.warehouse.clickhouse_asking import BOUNDED
from services.warehouse.domain.erasing import PERSONAL, Erasure, Traces
from services.warehouse.domain.rows import Place

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
_LINKED = f"""SELECT DISTINCT user FROM {PERSONAL} WHERE user != '' AND user_id = '' AND anonymous_id IN (
    SELECT anonymous_id FROM {PERSONAL} WHERE user = %(user)s AND anonymous_id != ''
) AND user != %(user)s ORDER BY user"""
_ONLY_THERE = """SELECT user FROM events WHERE account != '' AND user IN (
    SELECT user FROM events WHERE account = %(account)s AND user != ''
) GROUP BY user HAVING uniqExact(account) = 1 ORDER BY user"""
_AT_ONCE = 1_000


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
            self._ask(
                lambda: self._writer.insert("erasures", rows, column_names=_COLUMNS, settings={"async_insert": 0})
            )

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

    def traces(self, *, user: str = "", account: str = "") -> Traces:
        """Return what is stored of a person or an account."""
        rows: dict[str, int] = {}
        if account:
            for table, columns in self._tables().items():
                if "account" in columns:
                    rows[table] = self._how_many(table, "account = %(account)s", account=account)
            only_there = [row[0] for row in self._rows(_ONLY_THERE, account=account)]
            return Traces(only_there, [], {table: count for table, count in rows.items() if count})
        pseudonyms = [user, *(row[0] for row in self._rows(_LINKED, user=user))]
        accounts = self._accounts(pseudonyms)
        for table, columns in self._tables().items():
            if "user" in columns:
                rows[table] = self._how_many(table, "user IN %(users)s", users=pseudonyms)
            elif "body" in columns:
                where = "account IN %(accounts)s AND multiSearchAny(body, %(users)s)"
                rows[table] = self._how_many(table, where, users=pseudonyms, accounts=accounts) if accounts else 0
        return Traces(pseudonyms, accounts, {table: count for table, count in rows.items() if count})

    def _erase_person(self, order: Erasure) -> dict[str, int]:
        removed: dict[str, int] = {}
        given = {"user": order.user, "new": order.stands_for, "until": order.place.appended_at}
        before = "appended_at <= fromUnixTimestamp64Milli(toInt64(%(until)s))"
        accounts = self._accounts([order.user])
        tables = self._tables()
        for table, columns in tables.items():
            if "user_id" in columns:
                whole = "user = %(user)s" if table == "people" else f"user = %(user)s AND {before}"
                removed[table] = self._mutate(table, "DELETE", whole, **given)
            elif "body" in columns:
                mentions = f"account IN %(accounts)s AND position(body, %(user)s) > 0 AND {before}"
                change = "UPDATE body = replaceAll(body, %(user)s, %(new)s)"
                if accounts:
                    removed[table] = self._mutate(table, change, mentions, **given, accounts=accounts)
            elif "user" in columns:
                removed[table] = self._mutate(table, "UPDATE user = %(new)s", f"user = %(user)s AND {before}", **given)
        # Who has come back since has details again, and is known by them.
        self._command(
            f"""INSERT INTO people SELECT user, any(user_id), max(appended_at) FROM {PERSONAL}
            WHERE user = %(user)s AND user_id != '' GROUP BY user""",
            user=order.user,
        )
        return {table: count for table, count in removed.items() if count}

    def _erase_account(self, order: Erasure) -> dict[str, int]:
        removed: dict[str, int] = {}
        given = {"account": order.account, "until": order.place.appended_at}
        where = "account = %(account)s AND appended_at <= fromUnixTimestamp64Milli(toInt64(%(until)s))"
        users = [row[0] for row in self._rows(f"SELECT DISTINCT user FROM {PERSONAL} WHERE {where}", **given)]
        for table, columns in self._tables().items():
            if "account" in columns:
                removed[table] = self._mutate(table, "DELETE", where, **given)
        for start in range(0, len(users), _AT_ONCE):
            some = users[start : start + _AT_ONCE]
            left = {row[0] for row in self._rows(f"SELECT DISTINCT user FROM {PERSONAL} WHERE user IN %(u)s", u=some)}
            gone = [user for user in some if user not in left]
            if gone:
                removed["people"] = removed.get("people", 0) + self._mutate("people", "DELETE", "user IN %(u)s", u=gone)
        return {table: count for table, count in removed.items() if count}

    def _accounts(self, users: Sequence[str]) -> list[str]:
        query = "SELECT DISTINCT account FROM events WHERE user IN %(users)s AND account != '' ORDER BY account"
        return [row[0] for row in self._rows(query, users=list(users))]

    def _mutate(self, table: str, what: str, where: str, **given: Any) -> int:
        """Change or delete rows; return how many there were, and do nothing where there are none."""
        count = self._how_many(table, where, **given)
        if count:
            self._command(f"ALTER TABLE {table} {what} WHERE {where}", **given)
        return count

    def _how_many(self, table: str, where: str, **given: Any) -> int:
        return int(self._rows(f"SELECT count() FROM {table} WHERE {where}", **given)[0][0])

    def _tables(self) -> dict[str, list[str]]:
        return {table: columns for table, columns in self._rows(_TABLES) if table not in _OURS}

    def _rows(self, query: str, **given: Any) -> Sequence[Sequence[Any]]:
        found: Sequence[Sequence[Any]] = self._ask(
            lambda: self._writer.query(query, given, dict(self._bounds))
        ).result_rows
        return found

    def _command(self, command: str, **given: Any) -> None:
        self._ask(lambda: self._writer.command(command, parameters=given, settings=_WAIT))

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except (ClickHouseError, OSError) as error:
            raise Retryable(f"ClickHouse: {str(error)[:500]}") from error


class ClickHouseTraces(ClickHouseErasing):
    """Reads what erasures ask of the store, on a connection of questions and with their limit of time."""

    _bounds = BOUNDED

    def __init__(self, reader: Client) -> None:
        self._writer = reader


def _text(order: Erasure) -> str:
    return msgspec.json.encode(order.removed).decode() if order.done else ""
