"""
Tables that views fill beside another one: made whole at start.

ClickHouse stores a block in the table that it is inserted into, and then in those that views fill. A process that dies in
between leaves the second without what the first one has, and the position to go on from is read from the first.
"""

from __future__ import annotations

from services.warehouse.clickhouse.migrations import Client

_SOURCES = {
    "arrivals": "events",
    "account_health_days": "account_health",
    "account_health_states": "account_health",
    "account_health_current": "account_health",
    "signal_episodes": "signals",
}
"""By table, the one whose rows come into it, each with its place on the log; its view is called TABLE_of."""

_COUNTED = {
    "signal_episodes": """(SELECT topic, partition, min(offset) AS offset FROM signals
    GROUP BY account, signal_id, topic, partition)""",
}
"""By table that takes no row that repeats another one, the rows of its source that do not."""

_RECENT = {"arrivals": ("hour", "received_at")}
"""By table that lets rows go sooner than its source, the times by which both are looked at; see its TTL."""

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
        for place, end in _ends(client, _COUNTED.get(table, source), there).items():
            known = ends.get(place, -1)
            if known < end:
                topic, partition = place
                client.command(
                    f"INSERT INTO {table} {_selection(client, table)}"
                    f" WHERE topic = '{topic}' AND partition = {partition} AND offset > {known} AND {there}"
                )
                lacking[table] = lacking.get(table, 0) + 1
    if people := int(client.query(f"SELECT count() FROM ({_PEOPLE})").result_rows[0][0]):  # noqa: S608  our names
        client.command(f"INSERT INTO people {_PEOPLE}")
        lacking["people"] = people
    return lacking


def _recent(column: str) -> str:
    """Return the condition that the table has not let a row go; to the hour, since that is what `arrivals` keeps."""
    return f"toStartOfHour(toDateTime({column}, 'UTC')) > now() - INTERVAL 35 DAY" if column else "1"


def _ends(client: Client, table: str, recent: str) -> dict[tuple[str, int], int]:
    rows = client.query(_ENDS.format(table=table, recent=recent)).result_rows
    return {(str(topic), int(partition)): int(offset) for topic, partition, offset in rows}


def _selection(client: Client, table: str) -> str:
    """Return the query by which a table's view makes its rows."""
    query = f"SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = '{table}_of'"  # noqa: S608  our names
    return str(client.query(query).result_rows[0][0])
