"""
The store in ClickHouse: a server, or the engine inside this process with its files in a folder.

Promises: when `insert` returns, the rows survive the death of the process; rows that are inserted again replace
themselves. Everything that ClickHouse answers or fails to answer is `Retryable` once the store is open, since a
row can never be dropped for it; what opens wrongly is `Fatal`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, ProgrammingError

from services.shared.errors import Fatal, Retryable
from services.shared.files.data_folder import using
from services.shared.kafka.partition import TopicPartition
from services.warehouse.clickhouse.derived import make_whole
from services.warehouse.clickhouse.erasing import ClickHouseErasing, ClickHouseTraces
from services.warehouse.clickhouse.failed_writes import (
    BrokenPart,
    FailedWrites,
    forget_empty_drafts,
    keep_parts,
    take_stock,
)
from services.warehouse.clickhouse.migrations import migrate
from services.warehouse.clickhouse.native import native
from services.warehouse.clickhouse.queries import ClickHouseQueries
from services.warehouse.domain.blocks import Block
from services.warehouse.domain.erasing import Erasure, Traces
from services.warehouse.domain.rows import Row, columns
from services.warehouse.exporting import ClickHouseExporting
from services.warehouse.ports import StoreFull, StoreRefuses
from services.warehouse.retention import keep_for
from services.warehouse.settings import RetentionSettings

log = logging.getLogger(__name__)

_TABLES = ("events", "event_details", "account_health", "signals")

_INSERT = {
    # A server may be set up to answer before the rows are stored; the position that is read back must not lie.
    "async_insert": 0,
    # Rows that replace each other are seldom in one batch, and looking for them takes a quarter of an insert.
    "optimize_on_insert": 0,
}

READERS = 4
"""Questions that are asked at the same time; each takes a connection."""

_FULL_DISK = re.compile(r"\bNOT_ENOUGH_SPACE\b|\bQUOTA_EXCEEDED\b|No space left on device|Disk quota exceeded")
"""What server and embedded engine write alike: their own look before they write, and what the system says after it."""

_REFUSAL = re.compile(r"\bCode: \d+\..*\(([A-Z][A-Z0-9_]+)\)", re.DOTALL)
"""How both end what they say of a statement that they do not carry out; who is not reached has no code."""

EMBEDDED_MEMORY_MB = 1024
"""What the embedded engine may take, if nothing else is said."""

_ROOM_BYTES = 64 * 1024 * 1024
"""
Free before an embedded store is opened: a new one that is half made on a full disk has empty files and never opens again, and
one that was stopped by a full disk would meet it again.
"""


class ClickHouseStore(ClickHouseErasing, ClickHouseExporting, ClickHouseQueries):
    """Keeps the `Store` port. One client writes and others read, so that neither waits for the other."""

    def __init__(self, writer: Client, readers: Sequence[Client], failed: FailedWrites | None = None) -> None:
        """Write with one client, ask with the others; `failed` knows of writes that failed without an error."""
        super().__init__(readers)
        self._writer = writer
        self._failed = failed
        self.lost: list[BrokenPart] = []
        """Parts whose rows no start brings back; of the embedded store, as found when it was opened."""

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Store rows as one block."""
        if not rows:
            return
        try:
            with _retryable():
                self._insert(table, rows)
        finally:
            self._mark(table, rows)  # also where it failed: they may be there
            self._refuse_failed_writes()

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        if isinstance(rows, Block):
            self._writer.raw_insert(table, columns(table), native(rows), settings=_INSERT, fmt="Native")
            return
        self._writer.insert(
            table,
            list(zip(*rows, strict=True)),
            column_names=columns(table),
            column_oriented=True,
            settings=_INSERT,
        )

    def erase(self, order: Erasure) -> dict[str, int]:
        """Delete and change what an erasure covers."""
        try:
            return super().erase(order)
        finally:
            self.forget()
            self._refuse_failed_writes()

    def note_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Remember next offsets."""
        self._refuse_failed_writes()
        if not positions:
            return
        rows = [[topic, partition, offset] for (topic, partition), offset in sorted(positions.items())]
        with _retryable():
            self._writer.insert("positions", rows, column_names=["topic", "partition", "next_offset"], settings=_INSERT)

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of each known partition."""
        stored = " UNION ALL ".join(
            f"SELECT topic, partition, max(offset) + 1 AS next FROM {table} GROUP BY topic, partition"  # noqa: S608  our names
            for table in _TABLES
        )
        noted = "SELECT topic, partition, max(next_offset) AS next FROM positions GROUP BY topic, partition"
        query = f"SELECT topic, partition, max(next) FROM ({stored} UNION ALL {noted}) GROUP BY topic, partition"  # noqa: S608
        with _retryable():
            rows = self._writer.query(query).result_rows
        return {(topic, partition): offset for topic, partition, offset in rows}

    def note_sources(self, ids: Mapping[str, str]) -> None:
        """Remember the ids of topics."""
        if not ids:
            return
        with _retryable():
            rows = [list(each) for each in sorted(ids.items())]
            self._writer.insert("sources", rows, column_names=["topic", "topic_id"], settings=_INSERT)

    def sources(self) -> dict[str, str]:
        """Return the id of each topic."""
        with _retryable():
            rows = self._writer.query("SELECT topic, topic_id FROM sources FINAL").result_rows
        return {str(topic): str(id_) for topic, id_ in rows}

    def traces(self, *, user: str = "", account: str = "", linked: bool = False) -> Traces:
        """Return what is stored of a person or an account; rows can be stored meanwhile."""
        with self._reader() as reader:
            return ClickHouseTraces(reader).traces(user=user, account=account, linked=linked)

    def erasures(self) -> list[Erasure]:
        """Return the erasures that are known."""
        with self._reader() as reader:
            return ClickHouseTraces(reader).erasures()

    def keep_for(self, retention: RetentionSettings) -> None:
        """Have rows deleted once they are too old."""
        keep_for(self._writer, retention)

    def _refuse_failed_writes(self) -> None:
        """
        Look whether a write has failed, be it of a merge of parts.

        Raises:
            Fatal: one has.
        """
        if self._failed is None:
            return
        with _retryable():
            failed = self._failed.any(self._writer)
        if failed:
            raise Fatal(
                "a write of the embedded store failed, as on a full disk, and its engine went on: what is in its files since then"
                " is in doubt. Make room where TIDEMARK_DATA_DIR is; the next start takes what is whole and reads the rest again"
            )

    def close(self) -> None:
        """Close all clients."""
        for client in (self._writer, *self._readers):
            with contextlib.suppress(ClickHouseError, OSError):
                client.close()


def open_embedded(path: Path, database: str, memory_mb: int = EMBEDDED_MEMORY_MB) -> ClickHouseStore:
    """
    Open the engine inside this process on the files under `path`, and bring the tables up to date.

    What goes past `memory_mb` fails instead of taking memory: an export, or a question. An insert is tried again. Beside
    `path` a folder is made, empty, for files that are needed for a moment (`ClickHouseStore.files`).

    Raises:
        StoreFull: there is no room for the tables.
        ConfigurationError: the folder cannot be written to.
        Fatal: another process has the folder open, or the files cannot be used.
    """
    with using(path):
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise OSError(errno.EACCES, "it cannot be written to", str(path))
        forget_empty_drafts(path)
        scratch = path.parent / "scratch"
        scratch.mkdir(exist_ok=True)
    free = shutil.disk_usage(path).free
    if free < _ROOM_BYTES:
        raise StoreFull(f"{free >> 20} MB are free at {path}, and the store needs {_ROOM_BYTES >> 20} to be opened")
    target = {"interface": "chdb", "path": str(path), "chdb_options": _limits(memory_mb)}
    store = _open(target, database, str(path), embedded=True)
    store.files = scratch
    store.memory_bytes = memory_mb * 1024 * 1024 // 2
    # Nobody else has the store open, so what lies there is of a process that was killed.
    for left in scratch.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return store


def _limits(memory_mb: int) -> dict[str, int]:
    """Return the engine's limit and its caches within it: by itself it takes most of the machine's memory for them."""
    total = memory_mb * 1024 * 1024
    return {
        "max_server_memory_usage": total,
        "mark_cache_size": total // 16,
        "primary_index_cache_size": total // 8,
        "index_mark_cache_size": total // 64,
        "query_condition_cache_size": total // 64,
        "compiled_expression_cache_size": total // 64,
        "parquet_metadata_cache_size": total // 64,
    }


def open_server(url: str, database: str) -> ClickHouseStore:
    """
    Connect to a server and bring the tables up to date.

    Raises:
        Retryable: the server does not answer, or its disk is full.
        Fatal: it answers and refuses.
    """
    return _open({"dsn": url, "autogenerate_session_id": False}, database, "CLICKHOUSE_URL")


def _open(target: dict[str, Any], database: str, where: str, *, embedded: bool = False) -> ClickHouseStore:
    clients: list[Client] = []
    try:
        first = clickhouse_connect.get_client(**target)
        clients.append(first)
        failed = FailedWrites(first) if embedded else None
        first.command(f"CREATE DATABASE IF NOT EXISTS {database}")
        clients += [clickhouse_connect.get_client(**target, database=database) for _ in range(1 + READERS)]
        broken = take_stock(clients[1]) if embedded else []
        migrate(clients[1])
        if embedded:
            keep_parts(clients[1])
        lacking = make_whole(clients[1])
        if failed and failed.any(first):
            raise StoreFull(f"ClickHouse at {where}: a write failed")
    except (ClickHouseError, OSError, Fatal, StoreFull) as error:
        for client in reversed(clients):
            with contextlib.suppress(ClickHouseError, OSError):
                client.close()
        if isinstance(error, Fatal | StoreFull):
            raise
        raise _in_words(error, where) from error
    first.close()
    for part in broken:
        said = log.warning if part.replaced else log.critical
        said(
            "broken_part_set_aside" if part.replaced else "rows_lost_with_a_broken_part",
            extra={"table": part.table, "part": part.name},
        )
    if lacking:
        log.warning("tables_made_whole", extra={"partitions": lacking})
    store = ClickHouseStore(clients[1], clients[2:], failed)
    store.lost = [part for part in broken if not part.replaced]
    store.connect = partial(clickhouse_connect.get_client, **target, database=database)
    return store


def _in_words(error: Exception, where: str) -> Fatal | Retryable:
    text = str(error)
    if _FULL_DISK.search(text):
        return StoreFull(f"ClickHouse at {where}: {text[:300]}")
    if "Error initializing EmbeddedServer" in text:
        return Fatal(
            f"the embedded warehouse at {where} cannot be opened: another process has it open, and one process owns it."
            " End the other one, give this one a folder of its own (TIDEMARK_DATA_DIR), or let both use a server (CLICKHOUSE_URL)."
            f" If there is no other one, see what ClickHouse wrote to the error output ({text[:300]})"
        )
    if getattr(error, "code", None) is None and "chdb engine" not in text:
        return Retryable(f"ClickHouse at {where} does not answer: {text[:300]}")
    return Fatal(f"ClickHouse at {where}: {text[:500]}")


@contextlib.contextmanager
def _retryable() -> Iterator[None]:
    try:
        yield
    except (ClickHouseError, OSError) as error:
        text = str(error)
        if _FULL_DISK.search(text):
            raise StoreFull(text[:500]) from error
        if isinstance(error, ProgrammingError):  # the client looks at the table before it sends rows
            raise StoreRefuses(text[:100], f"ClickHouse: {text[:500]}") from error
        if (named := _REFUSAL.search(text)) is not None:
            raise StoreRefuses(named[1], f"ClickHouse: {text[:500]}") from error
        raise Retryable(f"ClickHouse: {text[:500]}") from error
