"""The store in memory: for tests and try-outs. It forgets everything at its end, and keeps the same contract."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from schemas.topics import USAGE_EVENTS
from services.shared.kafka.partition import TopicPartition
from services.shared.units import DAY_MS
from services.warehouse.domain.filters import UNJUDGED, AccountFilter, EventCursor, EventFilter, SignalFilter
from services.warehouse.domain.rows import FORGOTTEN, Row, columns
from services.warehouse.ports import Found

_PLACE_LENGTH = 3  # topic, partition, offset

_ACCOUNT_COLUMNS = [
    "account",
    "name",
    "owner",
    "revenue",
    "seats",
    "renewal_day",
    "stage",
    "band",
    "score_tenths",
    "previous_score_tenths",
    "coverage",
    "risk_thousandths",
    "risk_predicts",
    "last_active_day",
    "silent_days",
    "sequence",
    "day",
    "at",
]

_IDENTITY = {
    "events": ("account", "user_without_account", "source", "environment", "event_id"),
    "event_details": ("account", "user_without_account", "source", "environment", "event_id"),
    "account_health": ("account", "partition", "offset"),
    "signals": ("account", "signal_id"),
}

_DETAILS_COLUMNS = ("event_id", "source", "account", "user", "user_id", "anonymous_id", "properties", "extra")

_ORDER: dict[str, Callable[[Found], Any]] = {
    "account": lambda a: a["account"],
    "score": lambda a: a["score_tenths"],
    "change": lambda a: 0 if a["previous_score_tenths"] is None else a["score_tenths"] - a["previous_score_tenths"],
    "revenue": lambda a: a["revenue"] or 0,
    "renewal": lambda a: 1_000_000 if a["renewal_day"] is None else a["renewal_day"],
    "silent": lambda a: a["silent_days"],
    "risk": lambda a: 1_000_000 if a["risk_thousandths"] is None else -a["risk_thousandths"],
}


class MemoryStore:
    """Keeps the `Store` port."""

    def __init__(self) -> None:
        """Start empty."""
        self._tables: dict[str, dict[tuple[Any, ...], Found]] = {name: {} for name in _IDENTITY}
        self._noted: dict[TopicPartition, int] = {}
        self._lock = threading.Lock()

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Store rows by their place."""
        names = columns(table)
        with self._lock:
            for row in rows:
                self._tables[table][row[:_PLACE_LENGTH]] = dict(zip(names, row, strict=True))

    def note_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Remember next offsets; a smaller one than before changes nothing."""
        with self._lock:
            for place, offset in positions.items():
                self._noted[place] = max(offset, self._noted.get(place, 0))

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of each known partition."""
        with self._lock:
            found = dict(self._noted)
            for table in self._tables.values():
                for topic, partition, offset in table:
                    found[topic, partition] = max(offset + 1, found.get((topic, partition), 0))
            return found

    def close(self) -> None:
        """Nothing is held."""

    def accounts(self, wanted: AccountFilter) -> list[Found]:
        """Return the latest health of accounts."""
        latest = self._latest()
        tenths = _risk_tenths(latest.values())
        rows = [
            {**{name: row[name] for name in _ACCOUNT_COLUMNS}, "risk_tenth": tenths.get(row["account"])}
            for row in latest.values()
            if wanted.band in ("", row["band"]) and wanted.owner in ("", row["owner"])
        ]
        rows.sort(key=_ORDER["account"])
        rows.sort(key=lambda row: _ORDER[wanted.sort](latest[row["account"]]), reverse=wanted.descending)
        if wanted.sort == "score":
            rows.sort(key=lambda row: row["band"] in UNJUDGED)
        return rows[wanted.offset : wanted.offset + wanted.limit]

    def latest(self, account: str) -> Found | None:
        """Return the account's latest snapshot whole."""
        row = self._latest().get(account)
        return _body(row) if row else None

    def risk_tenth(self, account: str) -> int | None:
        """Return the account's tenth by risk, 1 the riskiest."""
        return _risk_tenths(self._latest().values()).get(account)

    def history(self, account: str, days: int) -> list[Found]:
        """Return the last snapshot of each day."""
        last = {
            row["day"]: row
            for row in self._in_order("account_health")
            if row["account"] == account and row["reason"] != FORGOTTEN
        }
        return [_body(last[day]) for day in sorted(last, reverse=True)[:days]]

    def account_days(self, account: str, days: int) -> list[Found]:
        """Return what happened on each day."""
        found: dict[int, list[str]] = {}
        for row in self._unique_events():
            if row["account"] == account and row["topic"] == USAGE_EVENTS and _counts(row):
                found.setdefault(row["occurred_at"] // DAY_MS, []).append(
                    "" if row["actor"] in {"AGENT", "INTEGRATION"} else row["user"]
                )
        return [
            {"day": day, "events": len(found[day]), "active_users": len(set(found[day]) - {""})}
            for day in sorted(found, reverse=True)[:days]
        ]

    def events(self, wanted: EventFilter) -> list[Found]:
        """Return unique events."""
        rows = [
            {name: value for name, value in row.items() if name != "appended_at"}
            for row in self._unique_events()
            if row["account"] == wanted.account
            and wanted.name in ("", row["name"])
            and (wanted.before is None or row["occurred_at"] < wanted.before)
            and (wanted.after is None or EventCursor.of(row).order > wanted.after.order)
        ]
        rows.sort(key=lambda row: EventCursor.of(row).order)
        return rows[: wanted.limit]

    def past(self) -> Iterator[Found]:
        """Yield all that scores."""
        rows = [row for row in self._unique_events() if row["topic"] == USAGE_EVENTS and _counts(row)]
        yield from sorted(rows, key=lambda row: (row["occurred_at"], row["topic"], row["partition"], row["offset"]))

    def details(self, event_ids: Sequence[str]) -> list[Found]:
        """Return what is stored beyond the events with these ids."""
        wanted = set(event_ids)
        rows = [row for row in self._in_order("event_details") if row["event_id"] in wanted]
        return [
            {name: row[name] for name in _DETAILS_COLUMNS}
            for row in _first({}, rows, "event_id", "source", "account", "user").values()
        ]

    def people(self, users: Sequence[str]) -> dict[str, str]:
        """Return by pseudonym the user ids of those that are known."""
        rows = self._in_order("event_details")
        return {row["user"]: row["user_id"] for row in rows if row["user_id"] and row["user"] in set(users)}

    def signals(self, wanted: SignalFilter) -> list[Found]:
        """Return signals, or the open ones among the episodes."""
        rows: Iterable[Found] = _first({}, self._in_order("signals"), "account", "signal_id").values()
        if wanted.open_only:
            in_turn = sorted(rows, key=lambda row: row["transition_number"])
            rows = [r for r in {r["episode_id"]: r for r in in_turn}.values() if r["transition"] != "RESOLVED"]
        given = {n: getattr(wanted, n) for n in ("account", "rule", "category", "severity", "owner")}
        chosen = [
            row
            for row in rows
            if all(value in ("", row[name]) for name, value in given.items())
            and wanted.historical in (None, row["historical"])
        ]
        chosen.sort(key=lambda row: (-row["at"], row["signal_id"]))
        return [_body(row) for row in chosen[wanted.offset : wanted.offset + wanted.limit]]

    def totals(self) -> list[Found]:
        """Return how much is stored of each topic."""
        found: dict[str, Found] = {}
        for table, identity in _IDENTITY.items():
            rows = self._in_order(table)
            for topic in {row["topic"] for row in rows}:
                of_topic = [row for row in rows if row["topic"] == topic]
                unique = len(_first({}, of_topic, *identity))
                found[topic] = {"topic": topic, "rows": len(of_topic), "unique": unique}
        return [found[topic] for topic in sorted(found)]

    def _in_order(self, table: str) -> list[Found]:
        with self._lock:
            return [row for _, row in sorted(self._tables[table].items())]

    def _latest(self) -> dict[str, Found]:
        last = {row["account"]: row for row in self._in_order("account_health")}
        return {account: row for account, row in last.items() if row["reason"] != FORGOTTEN}

    def _unique_events(self) -> Iterable[Found]:
        return _first({}, self._in_order("events"), *_IDENTITY["events"]).values()


def _counts(row: Found) -> bool:
    return bool(row["environment"] == "production" and not row["internal"])


def _first(seen: dict[Any, Found], rows: Iterable[Found], *identity: str) -> dict[Any, Found]:
    for row in rows:
        seen.setdefault(tuple(_part_of(row, name) for name in identity), row)
    return seen


def _part_of(row: Found, name: str) -> Any:
    if name == "user_without_account":
        return "" if row["account"] else row["user"]
    return row[name]


def _body(row: Found) -> Found:
    body: Found = msgspec.json.decode(row["body"])
    return body


def _risk_tenths(rows: Iterable[Found]) -> dict[str, int]:
    """Return the tenth of each account whose risk is known; equal risks share one."""
    risks = {row["account"]: row["risk_thousandths"] for row in rows if row["risk_thousandths"] is not None}
    ordered = sorted(risks.values(), reverse=True)
    riskier = {risk: ordered.index(risk) for risk in set(ordered)}
    return {account: 1 + 10 * riskier[risk] // len(ordered) for account, risk in risks.items()}
