"""
Questions about the events of an account as SQL.

An account may have millions. So places are found in narrow columns first, and only those of a page are read whole; and what
is repeated is looked for among the candidates alone, not sorted out of all.
"""

# ruff: noqa: S608  what people send goes in as parameters; only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from services.shared.units import DAY_MS
from services.warehouse.clickhouse.asking import ClickHouseAsking, after, order_by
from services.warehouse.domain import ordering
from services.warehouse.domain.filters import EventFilter, PeopleFilter
from services.warehouse.domain.person import RECENT_DAYS
from services.warehouse.domain.rows import instant
from services.warehouse.ports import MOST_ARRIVALS, Found, Page

_EVENT_COLUMNS = """
topic, partition, offset, event_id, id_source, source, environment, account, user, kind, name,
toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms, toUnixTimestamp64Milli(received_at) AS received_at_ms,
skew_ms, epoch, historical, properties, identified, internal, via, actor"""

_IDENTIFIED = "topic, partition, offset, source, environment, event_id, account, user"
_SPARE = 20
"""Candidates beyond the page, in the place of those that turn out to be repetitions."""
_MOST_COUNTED = 200_000
"""Of more events than this nobody is told how many different ones they are: it would take too long."""

_EVENT_ORDER = {
    "occurred_at": "toUnixTimestamp64Milli(occurred_at)",
    "topic": "topic",
    "partition": "partition",
    "offset": "offset",
}
_PEOPLE_ORDER = {"last_active_day": "last_active_day", "user": "user"}

COUNTS = "topic = 'usage-events' AND environment = 'production' AND NOT internal"
PERSON = "actor NOT IN ('AGENT', 'INTEGRATION')"


def _during(first_day: int, last_day: int | None) -> str:
    """Return the condition that something happened from a day on, to the end of another; it uses the index of times."""
    bounds = [f"occurred_at >= fromUnixTimestamp64Milli(toInt64({instant(first_day * DAY_MS)}), 'UTC')"]
    if last_day is not None:
        bounds.append(f"occurred_at < fromUnixTimestamp64Milli(toInt64({instant((last_day + 1) * DAY_MS)}), 'UTC')")
    return " AND ".join(bounds)


class EventQueries(ClickHouseAsking):
    """The part of the `Queries` port that is about events of accounts."""

    def account_days(self, account: str, since_day: int, until_day: int | None = None) -> list[Found]:
        """Return what happened on each day."""
        return self._found(
            f"""SELECT toInt64(toRelativeDayNum(toDate32(occurred_at))) AS day, count() AS events,
                uniqExactIf(user, user != '' AND {PERSON}) AS active_users FROM (
                    SELECT occurred_at, user, actor, internal, topic, environment FROM events
                    WHERE account = {{account:String}} AND {_during(since_day, until_day)}
                    ORDER BY topic, partition, offset LIMIT 1 BY source, environment, event_id)
            WHERE {COUNTS} GROUP BY day ORDER BY day DESC""",
            account=account,
        )

    def events(self, wanted: EventFilter) -> Page:
        """Return unique events."""
        found: dict[tuple[Any, ...], Found] = {}  # a row that was stored twice is there twice until it is merged
        asked = replace(wanted, limit=wanted.limit + _SPARE)
        while True:
            candidates = self._candidates(asked)
            firsts = self._firsts(wanted.account, candidates)
            found |= {_place(each): each for each in candidates if firsts[_identity(each)] == _place(each)}
            if len(found) >= wanted.limit or len(candidates) < asked.limit:
                break
            asked = replace(asked, after=ordering.place(asked.order, candidates[-1]), limit=2 * asked.limit)
        rows = self._whole_events(wanted.account, list(found.values())[: wanted.limit])
        if wanted.after is None and len(rows) < wanted.limit:
            return Page(rows, len(rows))
        return Page(rows, self._count(wanted))

    def _candidates(self, wanted: EventFilter) -> list[Found]:
        """Return the places of events, those that are repetitions among them."""
        conditions, given = _conditions(wanted)
        beyond, place = after(wanted.order, wanted.after, _EVENT_ORDER)
        return self._found(
            f"""SELECT {_IDENTIFIED}, toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms FROM events
            WHERE {conditions} AND {beyond} ORDER BY {order_by(wanted.order, _EVENT_ORDER)} LIMIT {wanted.limit}""",
            **given,
            **place,
        )

    def _firsts(self, account: str, candidates: Sequence[Found]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Return by identity the place of the first on the log."""
        if not candidates:
            return {}
        rows = self._found(
            f"""SELECT {_IDENTIFIED} FROM events WHERE account = {{account:String}} AND event_id IN {{ids:Array(String)}}
            ORDER BY topic, partition, offset LIMIT 1 BY source, environment, event_id, if(account = '', user, '')""",
            account=account,
            ids=sorted({each["event_id"] for each in candidates}),
        )
        return {_identity(row): _place(row) for row in rows}

    def _whole_events(self, account: str, places: Sequence[Found]) -> list[Found]:
        """Return the events at these places, in the same order."""
        if not places:
            return []
        rows = self._found(
            f"""SELECT {_EVENT_COLUMNS} FROM events WHERE account = {{account:String}} AND (topic, partition, offset) IN (
                SELECT arrayJoin(arrayZip({{topics:Array(String)}}, {{partitions:Array(UInt32)}}, {{offsets:Array(UInt64)}})))
            LIMIT 1 BY topic, partition, offset""",
            account=account,
            topics=[each["topic"] for each in places],
            partitions=[each["partition"] for each in places],
            offsets=[each["offset"] for each in places],
        )
        known = {_place(row): row for row in rows}
        return [known[_place(each)] for each in places if _place(each) in known]

    def _count(self, wanted: EventFilter) -> int | None:
        conditions, given = _conditions(wanted)
        stored = self._found("SELECT count() AS n FROM events WHERE account = {account:String}", account=wanted.account)
        if stored[0]["n"] > _MOST_COUNTED:
            return None
        counted = self._found(f"SELECT count() AS n FROM events_unique WHERE {conditions}", **given)
        return int(counted[0]["n"])

    def account_people(self, wanted: PeopleFilter) -> Page:
        """Return who was active in production; a repeated event makes no other day."""
        first = wanted.until_day - wanted.days + 1
        source = f"""(SELECT user, toInt64(toRelativeDayNum(toDate32(occurred_at))) AS day FROM events
            WHERE account = {{account:String}} AND user != '' AND {PERSON} AND {COUNTS} AND {_during(first, wanted.until_day)})"""
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
            ORDER BY hour_ms DESC, events DESC, topic, name, source, environment, kind LIMIT {MOST_ARRIVALS}"""
        )


def _conditions(wanted: EventFilter) -> tuple[str, dict[str, Any]]:
    conditions = ["account = {account:String}"]
    if wanted.names:
        conditions.append("name IN {names:Array(String)}")
    if wanted.before is not None:
        conditions.append(f"occurred_at < fromUnixTimestamp64Milli(toInt64({instant(wanted.before)}), 'UTC')")
    return " AND ".join(conditions), {"account": wanted.account, "names": list(wanted.names)}


def _identity(row: Found) -> tuple[Any, ...]:
    return row["source"], row["environment"], row["event_id"], "" if row["account"] else row["user"]


def _place(row: Found) -> tuple[Any, ...]:
    return row["topic"], row["partition"], row["offset"]
