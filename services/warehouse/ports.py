"""What the warehouse needs of its store. `clickhouse/` and `memory/` implement it and pass the same contract tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from services.shared.errors import Retryable
from services.shared.kafka.partition import TopicPartition
from services.warehouse.domain.erasing import Erasure, Traces
from services.warehouse.domain.exports import Selection
from services.warehouse.domain.filters import AccountFilter, EventFilter, PeopleFilter, SignalFilter
from services.warehouse.domain.rows import Row
from services.warehouse.domain.weeks import Line

Found = dict[str, Any]
"""One found thing, with the names and units of its Avro record."""


class StoreFull(Retryable):
    """The disk of the store is full. It takes nothing until somebody makes room, then goes on by itself."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{FULL}: {detail}")


class StoreRefuses(Retryable):
    """The store answers but takes nothing: a table was altered, or a right withdrawn. It goes on by itself once that is put right."""

    def __init__(self, name: str, detail: str) -> None:
        """Take the store's name of what is wrong; unlike `detail` it never holds what was to be stored."""
        super().__init__(detail)
        self.name = name


def why(error: BaseException | None) -> str:
    """Say for `/readyz` why the store takes nothing."""
    if isinstance(error, StoreRefuses):
        return f"the store refuses what is written ({error.name}); its words are in the log"
    return FULL if isinstance(error, StoreFull) else "the store does not answer"


MOST_RECORDED = 10_000
"""The most accounts whose contacts are returned, and the most episodes whose judgements are."""
MOST_LOSSES = 100_000
"""The most accounts whose losses are returned: a back-test takes an account that is missing among them for one that stayed."""
JUDGEMENT_TOLD = ("episode_id", "rule", "severity", "verdict", "author")
"""What is returned of a judgement."""
MOST_ARRIVALS = 10_000
"""The most lines that `arrivals` returns."""
FULL = "the disk of the store is full"


class Sink(Protocol):
    """
    The writing half. Calls block, and come from one thread at a time.

    Every call may raise Retryable, StoreFull and StoreRefuses among them, and may then be repeated as it was. Fatal: what was
    written last is in doubt, and a new process finds out what is there.
    """

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """
        Store rows; when it returns they survive the death of the process.

        Rows of one partition are in offset order. A row that is stored again replaces itself. A call that failed may have
        stored the rows: repeat it, since what is made out of them may still be missing.
        """

    def note_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Remember next offsets, for partitions whose last records made no rows. Call after their `insert`."""

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of each partition of which anything was stored or noted."""

    def note_sources(self, ids: Mapping[str, str]) -> None:
        """Remember the ids of the topics that exist now."""

    def sources(self) -> dict[str, str]:
        """Return the latest id noted for each topic: the positions are offsets in the topic of that id."""


class Eraser(Protocol):
    """The part that deletes people and accounts. Calls block, and may come from several threads; each may be repeated."""

    def note_erasures(self, orders: Sequence[Erasure]) -> None:
        """Remember erasures; one that was noted as done stays done."""

    def erasures(self) -> list[Erasure]:
        """Return the erasures that are known, for as long as the topic of their orders has them."""

    def erase(self, order: Erasure) -> dict[str, int]:
        """
        Delete and change what an erasure covers; return how many rows, by table.

        Note the positions first: a position that is read back from rows is lost with them.
        """

    def forget_orders(self, done_for_s: int = ...) -> None:
        """Delete what the store itself still holds of orders that were carried out so many seconds ago, by default an hour. It never fails."""

    def traces(self, *, user: str = "", account: str = "", linked: bool = False) -> Traces:
        """Return what is stored of a person, by pseudonym, or of an account; `linked`: under linked ids too, OTHERS at most."""


class Exporter(Protocol):
    """The part that exports whole views. A store in memory has none."""

    def export(self, wanted: Selection) -> Iterator[bytes]:
        """
        Yield a view, or the rows of a person, in pieces; memory does not grow with the number of its rows.

        Raises:
            Retryable: ClickHouse does not answer, or has no room.
            Rejected: it takes more memory than an export may.
        """


class FillingStore(Sink, Eraser, Protocol):
    """What the sink needs of the store: to write, and to erase what orders on the log name."""


class Page(NamedTuple):
    """A part of a list."""

    rows: list[Found]
    total: int | None
    """How many there are on all pages; None where that would take too long to count."""


class LatestRecords(NamedTuple):
    """What people recorded: the latest."""

    rows: list[Found]
    total: int
    """How many there are, returned or not."""


class Days(NamedTuple):
    """What happened on each day."""

    rows: list[Found]
    exact: bool
    """False: there are so many events that their number was estimated, within about one in a hundred."""


class Queries(Protocol):
    """
    The reading half. Calls block, and may come from several threads, beside a writing one.

    Days are days since 1970 UTC. What is asked as of a day is what was known at its end, its midnight included.
    """

    def newest(self) -> int | None:
        """Return the log time of the latest snapshot of all, milliseconds since 1970 UTC; None: there is none."""

    def accounts(self, wanted: AccountFilter) -> Page:
        """Return the health of accounts: the columns of `account_health_latest`."""

    def latest(self, account: str, until_day: int | None = None) -> Found | None:
        """Return the account's complete latest snapshot, or None."""

    def history(self, account: str, days: int, until_day: int | None = None) -> list[Found]:
        """Return the last snapshot of each of so many days that have one, latest day first."""

    def lines(self, accounts: Sequence[str], last_day: int, weeks: int) -> dict[str, Line]:
        """Return, by account, what was known at the end of each week; an account that was never known may be missing."""

    def away(self, accounts: Sequence[str], until_day: int | None = None) -> dict[str, Found]:
        """Return by account what its latest snapshot says of being away; the FACTS of `domain.away`."""

    def bands(self, last_day: int, weeks: int, owners: Sequence[str]) -> list[Found]:
        """Return a line for each week and band that accounts were in at its end: `slot`, `band`, `accounts`, `revenue` (sum)."""

    def changes(self, since_day: int, owners: Sequence[str], until_day: int | None = None) -> list[tuple[Found, Found]]:
        """
        Return each account's state at the end of a day and now, if `is_news` says that it changed.

        Each has `account`, `name`, `owner`, `revenue`, `band` and `score_tenths`.
        """

    def snapshots(self, accounts: Sequence[str], until_days: Sequence[int | None]) -> list[dict[str, Found]]:
        """Return the latest health snapshots of accounts, whole, by account, as of each of some days; None is now."""

    def risk_tenths(self, accounts: Sequence[str], until_day: int | None = None) -> dict[str, int]:
        """Return in which tenth each account is among all whose risk is known, 1 the riskiest; equal risks share a tenth."""

    def choices(self, until_day: int | None = None) -> list[Found]:
        """Return, for each owner and stage, the number of `accounts` and their `revenue`: what a list can be narrowed to."""

    def known_measures(self) -> list[Found]:
        """Return, ordered by `name` of the measure, for how many accounts it is `known` now, and for how many `positive`."""

    def account_days(self, account: str, since_day: int, until_day: int | None = None) -> Days:
        """
        Return `day`, `events` and `active_users` (people alone) of each day with use of the product in production, latest first.

        What is use, the mark of ingest says. Of events that are there twice the first on the log counts.

        If `exact` is false, `events` are estimates, and an event that is repeated on another day counts on both.
        """

    def events(self, wanted: EventFilter) -> Page:
        """
        Return unique events with their place on the log.

        If there are too many to be counted, a repeat is only recognised within a week of the first.
        """

    def account_people(self, wanted: PeopleFilter) -> Page:
        """
        Return the people who were active in production, without agents and integrations.

        Each has `user`, `first_active_day`, `last_active_day`, `active_days` and `active_days_28`, all within the days asked
        for.
        """

    def arrivals(self, since_ms: int) -> list[Found]:
        """
        Return the records of events that were received since the beginning of an hour: latest hour first, then by number.

        There are MOST_ARRIVALS lines at most. Each has `topic`, `hour` (milliseconds since 1970), `name`, `source`, `environment`, `kind` and `events`.
        """

    def past(self) -> Iterator[Found]:
        """
        Yield all that the scorer takes, account by account, each in the order in which it happened: unique production events with one.

        Each has `account`, `user`, `kind`, `name`, `occurred_at`, `source`, `event_id`, `properties`, `environment`,
        `internal` and `actor`. They are fetched some accounts at a time as they are taken, so memory does not grow with their number.
        """

    def losses(self) -> LatestRecords:
        """
        Return one record of a loss for each account in production, latest first, MOST_LOSSES at most.

        It is the latest that names a day, or the latest of all if none does. Each has `account`, `occurred_at` and `properties` (see `services.shared.tracking_plan.losses`).
        """

    def contacts(self, since_ms: int) -> LatestRecords:
        """
        Return the last contact with each account in production since a time, latest first, MOST_RECORDED at most.

        Each has `account`, `occurred_at`, `channel` and `author` (see `services.shared.tracking_plan.contacts`).
        """

    def judgements(self, since_ms: int, until_ms: int | None = None) -> LatestRecords:
        """
        Return the last judgement of each episode of a signal since a time and before another, latest first, MOST_RECORDED at most.

        Those of accounts in production that name an episode and a verdict. Each has `account`, `occurred_at` and
        JUDGEMENT_TOLD (see `services.shared.tracking_plan.judgements`).
        """

    def details(self, event_ids: Sequence[str]) -> list[Found]:
        """Return what is stored beyond the events with these ids, in the order of the log."""

    def people(self, users: Sequence[str]) -> dict[str, str]:
        """Return the known user ids by pseudonym."""

    def signals(self, wanted: SignalFilter) -> Page:
        """
        Return signals whole.

        Of open ones, name, owner, revenue and renewal are those of the account now: an episode may be open for months, and
        whoever looks after the account has to find it.
        """

    def open_signals(self, accounts: Sequence[str], until_day: int | None = None) -> list[Found]:
        """Return how many episodes of accounts are open: `account`, `category`, `severity` and `signals`."""

    def transitions(self, since_ms: int, owners: Sequence[str], until_day: int | None = None) -> dict[str, int]:
        """Return how many signals there were after a time, by their transition."""

    def totals(self) -> list[Found]:
        """
        Return for each topic, ordered by name: `topic`, `rows` (one a record), `unique` (one an identity) and `exact`.

        For large tables the numbers are estimates, within about one in a hundred, and `exact` is false.
        """


class Store(Sink, Eraser, Queries, Protocol):
    """All parts together, and `close`."""

    def close(self) -> None:
        """Release everything; the store cannot be used afterwards."""
