"""The questions of the query API as SQL, always over the views that show each thing once."""

# ruff: noqa: S608  what people send goes in as parameters; only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.shared.errors import Retryable
from services.warehouse.domain.filters import UNJUDGED, AccountFilter, EventFilter, SignalFilter
from services.warehouse.domain.rows import FORGOTTEN
from services.warehouse.ports import Found

_ACCOUNT_COLUMNS = """
account, name, owner, revenue, seats, renewal_day, stage, band, score_tenths, previous_score_tenths, coverage,
nullIf(risk_tenth, 0) AS risk_tenth, risk_thousandths, risk_predicts, last_active_day, silent_days, sequence, day,
toUnixTimestamp64Milli(at) AS at_ms"""

_ORDER = {
    "account": "account",
    "score": "score_tenths",
    "change": "score_tenths - ifNull(previous_score_tenths, score_tenths)",
    "revenue": "ifNull(revenue, 0)",
    "renewal": "ifNull(renewal_day, 1000000)",
    "silent": "silent_days",
    "risk": "-ifNull(risk_thousandths, -1000000)",
}

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


class ClickHouseQueries:
    """Keeps the `Queries` port."""

    def __init__(self, reader: Client) -> None:
        self._reader = reader

    def accounts(self, wanted: AccountFilter) -> list[Found]:
        """Return the latest health of accounts."""
        direction = "DESC" if wanted.descending else "ASC"
        first = f"band IN {UNJUDGED}, " if wanted.sort == "score" else ""
        return self._found(
            f"""SELECT {_ACCOUNT_COLUMNS} FROM account_health_latest
            LEFT JOIN account_risk USING (account)
            WHERE (band = {{band:String}} OR {{band:String}} = '') AND (owner = {{owner:String}} OR {{owner:String}} = '')
            ORDER BY {first}{_ORDER[wanted.sort]} {direction}, account
            LIMIT {wanted.limit} OFFSET {wanted.offset}""",
            band=wanted.band,
            owner=wanted.owner,
        )

    def latest(self, account: str) -> Found | None:
        """Return the account's latest snapshot whole."""
        bodies = self._bodies(
            "SELECT body FROM account_health_latest WHERE account = {account:String}", account=account
        )
        return bodies[0] if bodies else None

    def risk_tenth(self, account: str) -> int | None:
        """Return the account's tenth by risk, 1 the riskiest."""
        found = self._found("SELECT risk_tenth FROM account_risk WHERE account = {account:String}", account=account)
        return int(found[0]["risk_tenth"]) if found else None

    def history(self, account: str, days: int) -> list[Found]:
        """Return the last snapshot of each day."""
        return self._bodies(
            f"""SELECT body FROM account_health WHERE account = {{account:String}} AND reason != '{FORGOTTEN}'
            ORDER BY day DESC, offset DESC LIMIT 1 BY day LIMIT {days}""",
            account=account,
        )

    def account_days(self, account: str, days: int) -> list[Found]:
        """Return what happened on each day."""
        return self._found(
            f"""SELECT toInt64(toRelativeDayNum(day)) AS day, events, active_users FROM account_days
            WHERE account = {{account:String}} ORDER BY day DESC LIMIT {days}""",
            account=account,
        )

    def events(self, wanted: EventFilter) -> list[Found]:
        """Return unique events."""
        after, topic, before = "", "", ""
        if wanted.before is not None:
            before = f"AND toUnixTimestamp64Milli(occurred_at) < toInt64({wanted.before})"
        if wanted.after is not None:
            time, topic, partition, offset = wanted.after.order
            after = f"""AND (-toUnixTimestamp64Milli(occurred_at), toString(topic), toInt64(partition), -toInt64(offset))
            > (toInt64({time}), {{topic:String}}, toInt64({partition}), toInt64({offset}))"""
        return self._found(
            f"""SELECT {_EVENT_COLUMNS} FROM events_unique WHERE account = {{account:String}}
            AND (name = {{name:String}} OR {{name:String}} = '')
            {before}
            {after}
            ORDER BY occurred_at_ms DESC, topic, partition, offset DESC LIMIT {wanted.limit}""",
            account=wanted.account,
            name=wanted.name,
            topic=topic,
        )

    def past(self) -> Iterator[Found]:
        """Yield all that scores."""
        query = f"""SELECT {_PAST_COLUMNS} FROM events_unique
            WHERE topic = 'usage-events' AND environment = 'production' AND NOT internal
            ORDER BY occurred_at, topic, partition, offset"""
        try:
            with self._reader.query_row_block_stream(query) as blocks:
                names = [name.removesuffix("_ms") for name in blocks.source.column_names]
                for block in blocks:
                    yield from (dict(zip(names, row, strict=True)) for row in block)
        except (ClickHouseError, OSError) as error:
            raise Retryable(f"ClickHouse: {str(error)[:500]}") from error

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

    def signals(self, wanted: SignalFilter) -> list[Found]:
        """Return signals, or the open ones among the episodes."""
        given = {n: getattr(wanted, n) for n in ("account", "rule", "category", "severity", "owner")}
        conditions = [f"{name} = {{{name}:String}}" for name, value in given.items() if value]
        if wanted.historical is not None:
            conditions.append(f"historical = {str(wanted.historical).lower()}")
        if wanted.open_only:
            conditions.append("transition != 'RESOLVED'")
        return self._bodies(
            f"""SELECT body FROM {"episodes" if wanted.open_only else "signals_unique"}
            WHERE {" AND ".join(conditions) or "true"}
            ORDER BY at DESC, signal_id LIMIT {wanted.limit} OFFSET {wanted.offset}""",
            **given,
        )

    def totals(self) -> list[Found]:
        """Return how much is stored of each topic."""
        counts = " UNION ALL ".join(
            f"""SELECT topic, uniqExact(partition, offset) AS rows, uniqExact({identity}) AS unique
            FROM {table} GROUP BY topic"""
            for table, identity in _IDENTITY.items()
        )
        return self._found(f"SELECT topic, rows, unique FROM ({counts}) ORDER BY topic")

    def _found(self, query: str, **parameters: Any) -> list[Found]:
        try:
            result = self._reader.query(query, parameters=parameters)
            names = [name.removesuffix("_ms") if name != "skew_ms" else name for name in result.column_names]
            return [dict(zip(names, row, strict=True)) for row in result.result_rows]
        except (ClickHouseError, OSError) as error:
            raise Retryable(f"ClickHouse: {str(error)[:500]}") from error

    def _bodies(self, query: str, **parameters: Any) -> list[Found]:
        return [msgspec.json.decode(found["body"]) for found in self._found(query, **parameters)]
