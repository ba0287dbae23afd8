"""
The tables, brought up to date at start: `schemas/clickhouse/000N_*.sql`, in order, each once.

Files are append-only. One that was applied and has changed since stops the start, because the tables are then
not what the code believes. Every statement may be run again, so a file that failed half-way is run from its start.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

import schemas
from services.shared.errors import Fatal

FOLDER = Path(schemas.__file__ or "").parent / "clickhouse"

_TABLE = """
CREATE TABLE IF NOT EXISTS migrations (number UInt32, name String, sha256 String, applied_at DateTime DEFAULT now())
ENGINE = ReplacingMergeTree ORDER BY number
"""


class Client(Protocol):
    """The part of a clickhouse-connect client that is needed here."""

    def command(self, cmd: str, /, *, settings: dict[str, Any] | None = None) -> Any:
        """Run a statement."""

    def query(self, query: str, /) -> Any:
        """Run a query."""

    def insert(self, table: str, data: Any, /, *, column_names: Any) -> Any:
        """Insert rows."""


def migrate(client: Client, folder: Path = FOLDER) -> list[str]:
    """
    Apply what was not applied yet and return the names of those files.

    Raises:
        Fatal: a file that was applied has changed or is gone.
    """
    client.command(_TABLE)
    found = client.query("SELECT number, name, sha256 FROM migrations FINAL ORDER BY number").result_rows
    applied = {int(number): (str(name), str(sha256)) for number, name, sha256 in found}
    files = {int(path.name.split("_")[0]): path for path in sorted(folder.glob("*.sql"))}
    for number, (name, sha256) in applied.items():
        if number not in files:
            raise Fatal(f"the warehouse was migrated by {name}, which this version does not have: install a later one")
        if _sha256(files[number]) != sha256:
            raise Fatal(f"{files[number].name} has changed since it was applied: restore it and add a new file")
    new = [number for number in sorted(files) if number not in applied]
    for number in new:
        path = files[number]
        for statement in statements(path.read_text("utf-8")):
            client.command(statement)
        client.insert("migrations", [[number, path.name, _sha256(path)]], column_names=["number", "name", "sha256"])
    return [files[number].name for number in new]


def statements(text: str) -> list[str]:
    """Split a file at the semicolons that end its lines."""
    parts = [part.strip() for part in text.split(";\n")]
    return [part for part in parts if any(not line.startswith("--") for line in part.splitlines() if line.strip())]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
