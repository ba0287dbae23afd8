"""
Tables that views fill beside another one: made whole at start.

ClickHouse stores a block in the table that it is inserted into, and then in those that views fill. A process that dies in
between leaves the second without what the first one has, and the position to go on from is read from the first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from schemas.topics import USAGE_EVENTS
from services.shared.errors import Fatal
from services.warehouse.clickhouse.events import PERSON, USES
from services.warehouse.clickhouse.failed_writes import DRAFT
from services.warehouse.clickhouse.migrations import Client

BY_DAY = ("account_event_days", "account_user_days")
"""Tables with a row for many events of a day: of what is erased they are made again."""

_SOURCES = {
    "arrivals": "events",
    "account_health_days": "account_health",
    "account_health_states": "account_health",
    "account_health_current": "account_health",
    "signal_episodes": "signals",
    "account_event_days": "events",
    "account_user_days": "events",
}
"""By table, the one whose rows come into it, each with its place on the log; its view is called TABLE_of."""

_COUNTED = {
    "signal_episodes": """(SELECT topic, partition, min(offset) AS offset FROM signals
    GROUP BY account, signal_id, topic, partition)""",
}
"""By table that takes no row that repeats another one, the rows of its source that do not."""

_USE = f"account != '' AND {USES}"
_TAKEN = {
    "account_event_days": _USE,
    "account_user_days": f"{_USE} AND user != '' AND {PERSON}",
}
"""By table that takes some rows of its source only, which ones; as its view says. All are of one topic."""

_RECENT = {"arrivals": ("hour", "received_at")}
"""By table that lets rows go sooner than its source, the times by which both are looked at; see its TTL."""

_STREAMED = {"max_bytes_before_external_group_by": 256 * 1024 * 1024}
"""A table that is new is made of all rows of its source: in no more memory than that."""

_ENDS = "SELECT topic, partition, max(offset) FROM {table} WHERE {recent} GROUP BY topic, partition"

_PEOPLE = """SELECT user, any(user_id), max(appended_at) AS latest FROM event_details WHERE user_id != ''
GROUP BY user HAVING (user, latest) NOT IN (SELECT user, max(appended_at) FROM people GROUP BY user)"""
"""Who is missing from `people`, or there with an older time: its rows have no place on the log."""


def make_whole(client: Client) -> dict[str, int]:
    """
    Store what tables lack, and return of how many partitions each lacked anything; of `people`, how many people.

    The latest row of a partition is in each of them, whatever was merged or has expired: so what lacks comes after it.
    """
    lacking: dict[str, int] = {}
    for table, source in _SOURCES.items():
        here, there = (_recent(column) for column in _RECENT.get(table, ("", "")))
        ends = _ends(client, table, here)
        taken = f"{there} AND {_beyond(USAGE_EVENTS, ends)} AND {_TAKEN[table]}" if table in _TAKEN else there
        stored = _ends(client, _COUNTED.get(table, source), taken)
        if missing := [place for place, end in stored.items() if ends.get(place, -1) < end]:
            lacks = " OR ".join(_beyond(topic, ends) for topic in sorted({topic for topic, _ in missing}))
            _store(client, table, selection(client, table, f"({lacks}) AND {there}"))
            lacking[table] = len(missing)
    if people := int(client.query(f"SELECT count() FROM ({_PEOPLE})").result_rows[0][0]):  # noqa: S608  our names
        client.command(f"INSERT INTO people {_PEOPLE}")
        lacking["people"] = people
    return lacking


def _store(client: Client, table: str, rows: str) -> None:
    """Store rows at once: of a part of them, the latest row of a partition would say that nothing lacks."""
    draft = f"{table}{DRAFT}"
    client.command(f"DROP TABLE IF EXISTS {draft}")
    client.command(f"CREATE TABLE {draft} AS {table}")
    client.command(f"INSERT INTO {draft} {rows}", settings=_STREAMED)
    client.command(f"ALTER TABLE {table} ATTACH PARTITION ID 'all' FROM {draft}")
    client.command(f"DROP TABLE {draft}")


def _recent(column: str) -> str:
    """Return the condition that the table has not let a row go; to the hour, since that is what `arrivals` keeps."""
    return f"toStartOfHour(toDateTime({column}, 'UTC')) > now() - INTERVAL 35 DAY" if column else "1"


def _ends(client: Client, table: str, recent: str) -> dict[tuple[str, int], int]:
    rows = client.query(_ENDS.format(table=table, recent=recent)).result_rows
    return {(str(topic), int(partition)): int(offset) for topic, partition, offset in rows}


def _beyond(topic: str, ends: Mapping[tuple[str, int], int]) -> str:
    """Return the condition that a row comes after what a table has of its partition; one condition, so that all is read once."""
    known = {partition: end for (of, partition), end in ends.items() if of == topic}
    if not known:
        return f"topic = '{topic}'"
    last = f"transform(toInt64(partition), {list(known)}, {list(known.values())}, -1)"
    return f"(topic = '{topic}' AND toInt64(offset) > {last})"


def selection(client: Client, table: str, condition: str) -> str:
    """Return the query by which a table's view makes its rows, of those rows of its source that meet a condition."""
    query = f"SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = '{table}_of'"  # noqa: S608  our names
    source = _SOURCES[table]
    made, times = re.subn(
        rf"FROM (\S+\.)?`?{source}`?(?!\S)",
        lambda _: f"FROM (SELECT * FROM {source} WHERE {condition}) AS {source}",  # noqa: S608
        str(client.query(query).result_rows[0][0]),
    )
    if times != 1:
        raise Fatal(f"the view {table}_of reads {source} {times} times: it cannot be limited to some rows")
    return made
