"""The questions of the query API as SQL, always over what shows each thing once."""

# ruff: noqa: S608  what people send goes in as parameters; only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from services.warehouse.clickhouse.events import SCORES, EventQueries
from services.warehouse.clickhouse.health import HealthQueries
from services.warehouse.clickhouse.recorded import RecordedQueries
from services.warehouse.clickhouse.signals import SignalQueries
from services.warehouse.ports import Found

_PLACE = "bitShiftLeft(toUInt64(partition), 44) + offset"
"""A record of a topic, as a number: numbers are told apart in a third of the time that pairs take. Offsets stay far below 2 ** 44."""
_IDENTITY = {
    "events": "account, if(account = '', user, ''), source, environment, event_id",
    "event_details": "account, if(account = '', user, ''), source, environment, event_id",
    "account_health": _PLACE,
    "signals": "account, signal_id",
}
_MOST_EXACT = 1_000_000
"""Rows of a table of which all are told apart; of more, that would take a large part of the memory that all questions share."""

PAST_ROWS = 200_000
"""
Of the past at a time, unless one account has more: the embedded engine sorts and answers within its memory, and holds the whole of
an answer.
"""

_PAST_COLUMNS = """
account, user, kind, name, toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms, source, event_id, properties, environment,
internal, actor, toUnixTimestamp64Milli(received_at) AS received_at_ms, historical"""

_DETAILS_COLUMNS = """
event_id, source, environment, account, user, user_id, anonymous_id, toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms,
toUnixTimestamp64Milli(received_at) AS received_at_ms, properties, extra"""


class ClickHouseQueries(HealthQueries, SignalQueries, EventQueries, RecordedQueries):
    """Keeps the `Queries` port."""

    def past(self) -> Iterator[Found]:
        """Yield all that the scorer takes, some accounts at a time."""
        query = f"""SELECT {_PAST_COLUMNS} FROM (
                SELECT * FROM events WHERE account BETWEEN {{first:String}} AND {{last:String}}
                ORDER BY account, topic, partition, offset LIMIT 1 BY account, source, environment, event_id)
            WHERE {SCORES}
            ORDER BY account, occurred_at, topic, partition, offset"""
        with self._reader() as reader:
            counts = reader.query(
                "SELECT account, count() FROM events WHERE account != '' GROUP BY account ORDER BY account"
            ).result_rows
        for first, last in _spans(counts, PAST_ROWS):
            given = {"first": first, "last": last}
            with self._reader() as reader, reader.query_row_block_stream(query, parameters=given) as blocks:
                names = [name.removesuffix("_ms") for name in blocks.source.column_names]
                for block in blocks:
                    yield from (dict(zip(names, row, strict=True)) for row in block)

    def details(self, event_ids: Sequence[str]) -> list[Found]:
        """Return what is stored beyond the events with these ids."""
        if not event_ids:
            return []
        return self._found(
            f"""SELECT {_DETAILS_COLUMNS} FROM event_details WHERE event_id IN {{ids:Array(String)}}
            ORDER BY event_id, source, topic, partition, offset LIMIT 1 BY event_id, source, environment, account, user""",
            ids=list(event_ids),
        )

    def people(self, users: Sequence[str]) -> dict[str, str]:
        """Return by pseudonym the user ids of those that are known."""
        if not users:
            return {}
        found = self._found(
            "SELECT user, any(user_id) AS user_id FROM people WHERE user IN {users:Array(String)} GROUP BY user",
            users=list(users),
        )
        return {row["user"]: row["user_id"] for row in found}

    def totals(self) -> list[Found]:
        """Return how much is stored of each topic."""
        sizes = " UNION ALL ".join(f"SELECT '{table}' AS name, count() AS n FROM {table}" for table in _IDENTITY)
        exact = {row["name"]: row["n"] <= _MOST_EXACT for row in self._found(sizes)}
        # One table after the other: each has the time of a question, and the memory of none adds to that of another.
        found = [row for table in _IDENTITY for row in self._found(_counted(table, exact=exact[table]))]
        return sorted(found, key=itemgetter("topic"))


def _spans(counts: Iterable[Sequence[Any]], most: int) -> list[tuple[str, str]]:
    """Return first and last accounts, as many at a time as have `most` rows together; `counts` has accounts in order with their rows."""
    found: list[tuple[str, str]] = []
    held = 0
    for account, rows in counts:
        if found and held + rows <= most:
            found[-1] = (found[-1][0], account)
            held += rows
        else:
            found.append((account, account))
            held = rows
    return found


def _counted(table: str, *, exact: bool) -> str:
    different = "uniqExact" if exact else "uniqCombined64"
    return f"""SELECT topic, {different}({_PLACE}) AS rows, {different}({_IDENTITY[table]}) AS unique,
        {str(exact).lower()} AS exact FROM {table} GROUP BY topic"""
