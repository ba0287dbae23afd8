"""What the warehouse asks of its store. `clickhouse.py` and `memory.py` keep it, under one contract suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from services.shared.errors import Retryable
from services.shared.kafka.partition import TopicPartition
from services.warehouse.domain.filters import AccountFilter, EventFilter, SignalFilter
from services.warehouse.domain.rows import Row

Found = dict[str, Any]
"""One found thing, with the names and units of its Avro record."""


class StoreFull(Retryable):
    """The disk of the store is full: it takes nothing more until somebody makes room, and goes on by itself then."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{FULL}: {detail}")


FULL = "the disk of the store is full"


class Sink(Protocol):
    """
    The writing half. Calls block, and come from one thread at a time.

    Every call may raise Retryable, StoreFull among them, and may then be repeated as it was.
    """

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """
        Store rows; when it returns they survive the death of the process.

        Rows of one partition are in offset order. A row that is stored again replaces itself.
        """

    def note_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Remember next offsets, for partitions whose last records made no rows. Call after their `insert`."""

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of each partition of which anything was stored or noted."""


class Queries(Protocol):
    """The reading half. Calls block, and may come from several threads, beside a writing one."""

    def accounts(self, wanted: AccountFilter) -> list[Found]:
        """Return the latest health of accounts: the columns of `account_health_latest` without the body, and `risk_tenth`."""

    def latest(self, account: str) -> Found | None:
        """Return the account's latest health snapshot whole, or None."""

    def risk_tenth(self, account: str) -> int | None:
        """Return the account's tenth among all whose risk is known, 1 the riskiest; None: its own is not known."""

    def history(self, account: str, days: int) -> list[Found]:
        """Return the last snapshot of each day, latest day first."""

    def account_days(self, account: str, days: int) -> list[Found]:
        """Return `day`, `events` and `active_users` of each day with unique production events, latest first."""

    def events(self, wanted: EventFilter) -> list[Found]:
        """Return unique events with their place on the log, latest `occurred_at` first."""

    def past(self) -> Iterator[Found]:
        """
        Yield all that scores, earliest `occurred_at` first: unique production events with an account.

        Each has `account`, `user`, `kind`, `name`, `occurred_at`, `source`, `event_id`, `properties`, `environment`,
        `internal` and `actor`. Events are fetched as they are taken, so memory does not grow with their number.
        """

    def details(self, event_ids: Sequence[str]) -> list[Found]:
        """Return what is stored beyond the events with these ids, in the order of the log."""

    def people(self, users: Sequence[str]) -> dict[str, str]:
        """Return by pseudonym the user ids of those that are known."""

    def signals(self, wanted: SignalFilter) -> list[Found]:
        """Return signals, latest `at` first."""

    def totals(self) -> list[Found]:
        """Return of each topic, in order of name: `topic`, `rows` (one a record) and `unique` (one an identity)."""


class Store(Sink, Queries, Protocol):
    """Both halves, and the end."""

    def close(self) -> None:
        """Let go of everything that is held; the store is of no use afterwards."""
