"""The tables of the store in memory: rows by their place on the log."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from services.shared.kafka.partition import TopicPartition
from services.warehouse.domain.erasing import Erasure
from services.warehouse.domain.filters import day_of
from services.warehouse.domain.rows import FORGOTTEN, Place, Row, columns
from services.warehouse.ports import Found

_PLACE_LENGTH = 3  # topic, partition, offset

IDENTITY = {
    "events": ("account", "user_without_account", "source", "environment", "event_id"),
    "event_details": ("account", "user_without_account", "source", "environment", "event_id"),
    "account_health": ("account", "partition", "offset"),
    "signals": ("account", "signal_id"),
}


class MemoryTables:
    """Keeps the `Sink` port."""

    def __init__(self) -> None:
        """Start empty."""
        self._tables: dict[str, dict[tuple[Any, ...], Found]] = {name: {} for name in IDENTITY}
        self._orders: dict[Place, Erasure] = {}
        self._sorted: dict[str, list[Found]] = {}
        """Rows in the order of the log, until others come; nobody changes these lists."""
        self._noted: dict[TopicPartition, int] = {}
        self._sources: dict[str, str] = {}
        self._lock = threading.Lock()

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Store rows by their place."""
        names = columns(table)
        with self._lock:
            self._sorted.pop(table, None)
            for row in rows:
                self._tables[table][row[:_PLACE_LENGTH]] = dict(zip(names, row, strict=True))

    def note_sources(self, ids: Mapping[str, str]) -> None:
        """Remember the ids of topics."""
        self._sources.update(ids)

    def sources(self) -> dict[str, str]:
        """Return the id of each topic."""
        return dict(self._sources)

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

    def _in_order(self, table: str) -> list[Found]:
        with self._lock:
            if table not in self._sorted:
                self._sorted[table] = [row for _, row in sorted(self._tables[table].items())]
            return self._sorted[table]

    def _health(self, until_day: int | None = None) -> list[Found]:
        rows = self._in_order("account_health")
        return rows if until_day is None else [row for row in rows if day_of(row["at"]) <= until_day]

    def _latest(self, until_day: int | None = None) -> dict[str, Found]:
        last = {row["account"]: row for row in self._health(until_day)}
        return {account: row for account, row in last.items() if row["reason"] != FORGOTTEN}


def first(rows: Iterable[Found], *identity: str) -> dict[Any, Found]:
    """Return by identity the first of each."""
    seen: dict[Any, Found] = {}
    for row in rows:
        seen.setdefault(tuple(_part_of(row, name) for name in identity), row)
    return seen


def _part_of(row: Found, name: str) -> Any:
    if name == "user_without_account":
        return "" if row["account"] else row["user"]
    return row[name]


def body(row: Found) -> Found:
    """Return the record that a row was made of."""
    found: Found = msgspec.json.decode(row["body"])
    return found
