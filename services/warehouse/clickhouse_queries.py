"""The questions of the query API as SQL, always over what shows each thing once."""

# ruff: noqa: S608  what people send goes in as parameters; only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.shared.units import DAY_MS
from services.warehouse.clickhouse_asking import after, order_by
from services.warehouse.clickhouse_health import HealthQueries
from services.warehouse.clickhouse_signals import SignalQueries
from services.warehouse.domain.filters import EventFilter, PeopleFilter
from services.warehouse.domain.person import RECENT_DAYS
from services.warehouse.domain.rows import instant
from services.warehouse.ports import Found, Page

_IDENTITY = {
    "events": "account, if(account = '', user, ''), source, environment, event_id",
    "event_details": "account, if(account = '', user, ''), source, environment, event_id",
    "account_health": "account, partition, offset",
    "signals": "account, signal_id",
}

_EVENT_COLUMNS = """
topic, partition, offset, event_id, id_source, source, environment, account, user, kind, name,
toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms, toUnixTimestamp64Milli(received_at) AS received_at_ms,
skew_ms, epoch, historical, properties, identified, internal, via, actor"""

_PAST_COLUMNS = """
account, user, kind, name, toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms, source, event_id, properties, environment,
internal, actor"""

_DETAILS_COLUMNS = "event_id, source, account, user, user_id, anonymous_id, properties, extra"

_EVENT_ORDER = {
    "occurred_at": "toUnixTimestamp64Milli(occurred_at)",
    "topic": "topic",
    "partition": "partition",
    "offset": "offset",
}
_PEOPLE_ORDER = {"last_active_day": "last_active_day", "user": "user"}

_COUNTS = "topic = 'usage-events' AND environment = 'production' AND NOT internal"
_PERSON = "actor NOT IN ('AGENT', 'INTEGRATION')"


def _during(first_day: int, last_day: int | None) -> str:
    """Return the condition that something happened from a day on, to the end of another; it uses the index of times."""
    bounds = [f"occurred_at >= fromUnixTimestamp64Milli(toInt64({instant(first_day * DAY_MS)}), 'UTC')"]
    if last_day is not None:
        bounds.append(f"occurred_at < fromUnixTimestamp64Milli(toInt64({instant((last_day + 1) * DAY_MS)}), 'UTC')")
    return " AND ".join(bounds)


class ClickHouseQueries(HealthQueries, SignalQueries):
    """Keeps the `Queries` port."""

    def account_days(self, account: str, since_day: int, until_day: int | None = None) -> list[Found]:
        """Return what happened on each day."""
        return self._found(
            f"""SELECT toInt64(toRelativeDayNum(toDate32(occurred_at))) AS day, count() AS events,
                uniqExactIf(user, user != '' AND {_PERSON}) AS active_users FROM (
                    SELECT occurred_at, user, actor, internal, topic, environment FROM events
                    WHERE account = {{account:String}} AND {_during(since_day, until_day)}
                    ORDER BY topic, partition, offset LIMIT 1 BY source, environment, event_id)
            WHERE {_COUNTS} GROUP BY day ORDER BY day DESC""",
            account=account,
        )

    def events(self, wanted: EventFilter) -> Page:
        """Return unique events."""
        conditions = ["account = {account:String}"]
        if wanted.name:
            conditions.append("name = {name:String}")
        if wanted.before is not None:
            conditions.append(f"toUnixTimestamp64Milli(occurred_at) < toInt64({wanted.before})")
        source = f"events_unique WHERE {' AND '.join(conditions)}"
        given = {"account": wanted.account, "name": wanted.name}
        beyond, place = after(wanted.order, wanted.after, _EVENT_ORDER)
        rows = self._found(
            f"""SELECT {_EVENT_COLUMNS} FROM {source} AND {beyond}
            ORDER BY {order_by(wanted.order, _EVENT_ORDER)} LIMIT {wanted.limit}""",
            **given,
            **place,
        )
        if wanted.after is None and len(rows) < wanted.limit:
            return Page(rows, len(rows))
        return Page(rows, self._found(f"SELECT count() AS n FROM {source}", **given)[0]["n"])

    def account_people(self, wanted: PeopleFilter) -> Page:
        """Return who was active in production; a repeated event makes no other day."""
        first = wanted.until_day - wanted.days + 1
        source = f"""(SELECT user, toInt64(toRelativeDayNum(toDate32(occurred_at))) AS day FROM events
            WHERE account = {{account:String}} AND user != '' AND {_PERSON} AND {_COUNTS} AND {_during(first, wanted.until_day)})"""
        people = f"""(SELECT user, min(day) AS first_active_day, max(day) AS last_active_day, uniqExact(day) AS active_days,
            uniqExactIf(day, day > {wanted.until_day - RECENT_DAYS}) AS active_days_28 FROM {source} GROUP BY user)"""
        beyond, place = after(wanted.order, wanted.after, _PEOPLE_ORDER)
        rows = self._found(
            f"""SELECT * FROM {people} WHERE {beyond}
            ORDER BY {order_by(wanted.order, _PEOPLE_ORDER)} LIMIT {wanted.limit}""",
            account=wanted.account,
            **place,
        )
        total = self._found(f"SELECT uniqExact(user) AS n FROM {source}", account=wanted.account)
        return Page(rows, total[0]["n"])

    def arrivals(self, since_ms: int) -> list[Found]:
        """Return what was received, by the hour."""
        return self._found(
            f"""SELECT topic, toInt64(toUnixTimestamp(hour)) * 1000 AS hour_ms, name, source, environment, kind, count() AS events
            FROM arrivals FINAL WHERE hour >= toDateTime({since_ms // 1000}, 'UTC')
            GROUP BY topic, hour, name, source, environment, kind
            ORDER BY hour_ms DESC, events DESC, topic, name, source, environment, kind LIMIT 10000"""
        )

    def past(self) -> Iterator[Found]:
        """Yield all that scores."""
        query = f"""SELECT {_PAST_COLUMNS} FROM events_unique
            WHERE {_COUNTS}
            ORDER BY occurred_at, topic, partition, offset"""
        with self._reader() as reader, reader.query_row_block_stream(query) as blocks:
            names = [name.removesuffix("_ms") for name in blocks.source.column_names]
            for block in blocks:
                yield from (dict(zip(names, row, strict=True)) for row in block)

    def details(self, event_ids: Sequence[str]) -> list[Found]:
        """Return what is stored beyond the events with these ids."""
        if not event_ids:
            return []
        return self._found(
            f"""SELECT {_DETAILS_COLUMNS} FROM event_details WHERE event_id IN {{ids:Array(String)}}
            ORDER BY event_id, source, topic, partition, offset LIMIT 1 BY event_id, source, account, user""",
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
        counts = " UNION ALL ".join(
            f"""SELECT topic, uniqExact(partition, offset) AS rows, uniqExact({identity}) AS unique
            FROM {table} GROUP BY topic"""
            for table, identity in _IDENTITY.items()
        )
        return self._found(f"SELECT topic, rows, unique FROM ({counts}) ORDER BY topic")
