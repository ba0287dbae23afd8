"""
Questions about the events of an account as SQL.

An account may have millions. So places are found in narrow columns first, and only those of a page are read whole; and what
is repeated is looked for among the candidates alone, not sorted out of all. Of accounts with more than MOST_COUNTED events the
days come from tables by day, and a page is looked for in the latest days first: neither depends on how many events there are.
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
from services.warehouse.domain.presence import RECENT_DAYS
from services.warehouse.domain.rows import instant
from services.warehouse.ports import MOST_ARRIVALS, Days, Found, Page

_EVENT_COLUMNS = """
topic, partition, offset, event_id, id_source, source, environment, account, user, kind, name, use,
toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms, toUnixTimestamp64Milli(received_at) AS received_at_ms,
skew_ms, epoch, historical, properties, identified, internal, via, actor"""

_IDENTIFIED = "topic, partition, offset, source, environment, event_id, account, user"
_SPARE = 20
"""Candidates beyond the page, in the place of those that turn out to be repetitions."""
MOST_COUNTED = 200_000
"""The most events whose different ones are counted: more would take too long, and are estimated by day."""
_SPANS = (1, 8, 64)
"""Active days, from the latest on back, in which a page is looked for one after the other; then in all before."""
_REPEATED_WITHIN_DAYS = 7
"""Where there are more than MOST_COUNTED events, a repetition is known by a first one so near."""

_EVENT_ORDER = {
    "occurred_at": "toUnixTimestamp64Milli(occurred_at)",
    "topic": "topic",
    "partition": "partition",
    "offset": "offset",
}
_PEOPLE_ORDER = {"last_active_day": "last_active_day", "user": "user"}

SCORES = "topic = 'usage-events' AND environment = 'production'"
COUNTS = f"{SCORES} AND NOT internal"
USES = f"{COUNTS} AND use"
PERSON = "actor NOT IN ('AGENT', 'INTEGRATION')"


def _during(first_day: int, last_day: int | None) -> str:
    """Return the condition that something happened from a day on, to the end of another."""
    return _between(instant(first_day * DAY_MS), None if last_day is None else instant((last_day + 1) * DAY_MS))


def _between(lower: int | None, upper: int | None) -> str:
    """Return the condition that something happened from a time on, and before another; it uses the index of times."""
    bounds = []
    for sign, bound in ((">=", lower), ("<", upper)):
        if bound is not None:
            bounds.append(f"occurred_at {sign} fromUnixTimestamp64Milli(toInt64({bound}), 'UTC')")
    return " AND ".join(bounds) or "true"


def _on_days(first_day: int | None, last_day: int | None) -> str:
    """Return the same of a table by day."""
    bounds = [f"day {sign} {day}" for sign, day in ((">=", first_day), ("<=", last_day)) if day is not None]
    return " AND ".join(bounds) or "true"


def _around(candidates: Sequence[Found]) -> str:
    """Return the condition that an event happened as near to candidates as it must to be the first of one."""
    if not candidates:
        return "true"
    times = [each["occurred_at"] for each in candidates]
    away = _REPEATED_WITHIN_DAYS * DAY_MS
    return _between(min(times) - away, max(times) + away + 1)


class EventQueries(ClickHouseAsking):
    """The part of the `Queries` port that is about events of accounts."""

    def account_days(self, account: str, since_day: int, until_day: int | None = None) -> Days:
        """Return what happened on each day."""
        of_days = f"account = {{account:String}} AND {_on_days(since_day, until_day)}"
        estimates = self._found(
            f"""SELECT toInt64(day) AS day, uniqCombined64Merge(15)(events) AS events FROM account_event_days
            WHERE {of_days} GROUP BY day ORDER BY day DESC""",
            account=account,
        )
        if sum(each["events"] for each in estimates) <= MOST_COUNTED:
            return Days(self._exact_days(account, since_day, until_day) if estimates else [], exact=True)
        users = self._found(
            f"SELECT toInt64(day) AS day, uniqExact(user) AS users FROM account_user_days WHERE {of_days} GROUP BY day",
            account=account,
        )
        active = {each["day"]: each["users"] for each in users}
        return Days([{**each, "active_users": active.get(each["day"], 0)} for each in estimates], exact=False)

    def _exact_days(self, account: str, since_day: int, until_day: int | None) -> list[Found]:
        """Return what happened on each day; repetitions are looked for among what was used, as there may be far more that is no use."""
        of_days = f"account = {{account:String}} AND {_during(since_day, until_day)}"
        return self._found(
            f"""SELECT toInt64(toRelativeDayNum(toDate32(occurred_at))) AS day, count() AS events,
                uniqExactIf(user, user != '' AND {PERSON}) AS active_users FROM (
                    SELECT occurred_at, user, actor, internal, topic, environment, use FROM events
                    WHERE {of_days} AND event_id IN (SELECT event_id FROM events WHERE {of_days} AND {USES})
                    ORDER BY topic, partition, offset LIMIT 1 BY source, environment, event_id)
            WHERE {USES} GROUP BY day ORDER BY day DESC""",
            account=account,
        )

    def events(self, wanted: EventFilter) -> Page:
        """Return unique events."""
        stored = self._found("SELECT count() AS n FROM events WHERE account = {account:String}", account=wanted.account)
        is_large = stored[0]["n"] > MOST_COUNTED
        found: dict[tuple[Any, ...], Found] = {}  # a row that was stored twice is there twice until it is merged
        asked = replace(wanted, limit=wanted.limit + _SPARE)
        while True:
            candidates = self._latest_candidates(asked) if is_large else self._candidates(asked)
            firsts = self._firsts(wanted.account, candidates, _around(candidates) if is_large else "true")
            found |= {_place(each): each for each in candidates if firsts.get(_identity(each)) == _place(each)}
            if len(found) >= wanted.limit or len(candidates) < asked.limit:
                break
            asked = replace(asked, after=ordering.place(asked.order, candidates[-1]), limit=2 * asked.limit)
        rows = self._whole_events(wanted.account, list(found.values())[: wanted.limit])
        if wanted.after is None and len(rows) < wanted.limit:
            return Page(rows, len(rows))
        return Page(rows, None if is_large else self._count(wanted))

    def _latest_candidates(self, wanted: EventFilter) -> list[Found]:
        """Return the same as `_candidates`: the latest days are looked through first, and those before only if they have too few."""
        ends = [each for each in (wanted.before, wanted.after[0] if wanted.after else None) if each is not None]
        active = self._found(
            f"""SELECT DISTINCT toInt64(day) AS day FROM account_event_days
            WHERE account = {{account:String}} AND {_on_days(None, min(ends) // DAY_MS if ends else None)}
            ORDER BY day DESC LIMIT {_SPANS[-1]}""",
            account=wanted.account,
        )
        starts = [active[days - 1]["day"] * DAY_MS for days in _SPANS if days <= len(active)]
        found: list[Found] = []
        upper = None
        for lower in (*starts, None):
            within = _between(lower, upper)
            found += self._candidates(replace(wanted, limit=wanted.limit - len(found)), within)
            if len(found) >= wanted.limit:
                break
            upper = lower
        return found

    def _candidates(self, wanted: EventFilter, within: str = "true") -> list[Found]:
        """Return the places of events, those that are repetitions among them."""
        conditions, given = _conditions(wanted)
        beyond, place = after(wanted.order, wanted.after, _EVENT_ORDER)
        return self._found(
            f"""SELECT {_IDENTIFIED}, toUnixTimestamp64Milli(occurred_at) AS occurred_at_ms FROM events
            WHERE {conditions} AND {within} AND {beyond}
            ORDER BY {order_by(wanted.order, _EVENT_ORDER)} LIMIT {wanted.limit}""",
            **given,
            **place,
        )

    def _firsts(self, account: str, candidates: Sequence[Found], within: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Return by identity the place of the first on the log; none of what was erased or has expired since."""
        if not candidates:
            return {}
        rows = self._found(
            f"""SELECT {_IDENTIFIED} FROM events
            WHERE account = {{account:String}} AND event_id IN {{ids:Array(String)}} AND {within}
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

    def _count(self, wanted: EventFilter) -> int:
        conditions, given = _conditions(wanted)
        counted = self._found(f"SELECT count() AS n FROM events_unique WHERE {conditions}", **given)
        return int(counted[0]["n"])

    def account_people(self, wanted: PeopleFilter) -> Page:
        """Return who was active in production; a repeated event makes no other day."""
        first = wanted.until_day - wanted.days + 1
        source = f"account_user_days WHERE account = {{account:String}} AND {_on_days(first, wanted.until_day)}"
        people = f"""(SELECT user, toInt64(min(day)) AS first_active_day, toInt64(max(day)) AS last_active_day,
            uniqExact(day) AS active_days, uniqExactIf(day, day > {wanted.until_day - RECENT_DAYS}) AS active_days_28
            FROM {source} GROUP BY user)"""
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
            f"""SELECT topic, toInt64(toUnixTimestamp(hour)) * 1000 AS hour_ms, name, source, environment, kind,
                groupBitmapMerge(arrivals.events) AS events
            FROM arrivals WHERE hour >= toDateTime({since_ms // 1000}, 'UTC')
            GROUP BY topic, hour, name, source, environment, kind
            ORDER BY hour_ms DESC, events DESC, topic, name, source, environment, kind LIMIT {MOST_ARRIVALS}"""
        )


def _conditions(wanted: EventFilter) -> tuple[str, dict[str, Any]]:
    conditions = ["account = {account:String}"]
    if wanted.names:
        conditions.append("name IN {names:Array(String)}")
    if wanted.kinds:
        conditions.append("kind IN {kinds:Array(String)}")
    if wanted.before is not None:
        conditions.append(f"occurred_at < fromUnixTimestamp64Milli(toInt64({instant(wanted.before)}), 'UTC')")
    given = {"account": wanted.account, "names": list(wanted.names), "kinds": list(wanted.kinds)}
    return " AND ".join(conditions), given


def _identity(row: Found) -> tuple[Any, ...]:
    return row["source"], row["environment"], row["event_id"], "" if row["account"] else row["user"]


def _place(row: Found) -> tuple[Any, ...]:
    return row["topic"], row["partition"], row["offset"]
