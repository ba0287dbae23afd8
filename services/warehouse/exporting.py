"""
A view as one stream of bytes, in a format that others read.

A server keeps its answer in a file of its own until it is whole, and sends it then: one that begins to answer at once can say
only in the body that it failed later, and older ones end such a body as if it were whole. The embedded engine has the whole
of an answer in memory unless it writes a file, so it writes one into the data folder, which is sent and deleted. Either way
memory does not grow with the bytes, only with what a view tells its rows apart by.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from services.shared.errors import Rejected, Retryable
from services.warehouse.clickhouse.failed_writes import FailedWrites
from services.warehouse.domain.exports import Selection

_CHUNK = 256 * 1024
_MEMORY_BYTES = 512 * 1024 * 1024
_SETTINGS: dict[str, int | str] = {
    "max_threads": 2,
    "max_block_size": 2048,  # of each part of a table that is read in order; snapshots are some kilobytes each
    "output_format_parquet_row_group_size": 100_000,
    "output_format_parquet_row_group_size_bytes": 32 * 1024 * 1024,
    "output_format_parquet_compression_method": "zstd",
}
_WHOLE = {"wait_end_of_query": 1}
"""Has a server answer with a status that tells of a failure; beyond a small buffer it writes to its disk."""


class ClickHouseExporting:
    """Keeps the `Exporter` port."""

    connect: Callable[[], Client]
    """Opens one more connection to the store."""
    files: Path | None = None
    """Where the embedded engine may write; None: the store is on a server."""
    memory_bytes: int = _MEMORY_BYTES
    """What an export may take in the engine; what it sorts and groups goes to the disk from a quarter of that on."""

    def export(self, wanted: Selection) -> Iterator[bytes]:
        """
        Yield a view in pieces.

        Raises:
            Retryable: ClickHouse does not answer or stops amid its answer, or has no room.
            Rejected: it takes more memory than an export may.
        """
        try:
            with contextlib.closing(self.connect()) as client:
                yield from self._written(client, wanted, self.files) if self.files else self._streamed(client, wanted)
        except (ClickHouseError, HTTPError, OSError) as error:
            if "MEMORY_LIMIT_EXCEEDED" in str(error):
                raise Rejected("too_much", "view", self._advice(wanted)) from error
            raise Retryable(f"ClickHouse: {str(error)[:500]}") from error

    def _written(self, client: Client, wanted: Selection, folder: Path) -> Iterator[bytes]:
        with TemporaryDirectory(prefix="export-", dir=folder) as scratch:
            file = Path(scratch) / "rows"
            target = str(file).replace("\\", "\\\\").replace("'", "\\'")
            failed = FailedWrites(client)
            client.command(
                f"INSERT INTO FUNCTION file('{target}', '{wanted.format}') {wanted.query}", settings=self._settings()
            )
            if failed.any(client):
                raise Retryable(
                    "the disk of the store has no room for the file: make room, or export fewer days at a time"
                )
            if not file.exists():  # of no rows it writes no file
                yield client.raw_query(wanted.query, fmt=wanted.format)
                return
            with file.open("rb") as rows:
                while chunk := rows.read(_CHUNK):
                    yield chunk

    def _streamed(self, client: Client, wanted: Selection) -> Iterator[bytes]:
        with client.raw_stream(wanted.query, fmt=wanted.format, settings=self._settings() | _WHOLE) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk

    def _settings(self) -> dict[str, int | str]:
        return _SETTINGS | {
            "max_memory_usage": self.memory_bytes,
            "max_bytes_before_external_sort": self.memory_bytes // 4,
            "max_bytes_before_external_group_by": self.memory_bytes // 4,
        }

    def _advice(self, wanted: Selection) -> str:
        """Say what helps: an embedded engine gives an export half of the memory that it may take."""
        more = (
            "raise TIDEMARK_WAREHOUSE_MEMORY_MB" if self.files else "read it from the server with a client of its own"
        )
        ways = ["export fewer days at a time", more] if wanted.fewer_days_take_less else [more]
        return (
            f"takes more than the {self.memory_bytes >> 20} MB of memory that an export may take: {', or '.join(ways)}"
        )
