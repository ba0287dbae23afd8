"""
What the embedded engine wrote in vain.

ClickHouse's own servers raise an error where they cannot write. The engine of chdb (26.3 to 26.9) counts the failure and goes on: on a full disk an insert
ends well, and a merge replaces parts by one with empty files. So the count is looked at after each write; once it has
moved, nothing that was written since can be relied on, and the process has to end. The next one compares the lengths of all
files as it loads them, and takes the parts that were merged for one that is too short, if they are still there.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from services.warehouse.clickhouse.asking import engines

KEEP_PARTS_S = 30
"""How long parts that were merged are kept. The engine of chdb would delete them at once. The count is looked at every ten seconds."""

DRAFT = "_draft"
"""How the names of tables end that live for one statement."""

_COUNT = "SELECT value FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"
_BROKEN = """SELECT table, name, level, min_block_number, max_block_number FROM system.detached_parts
WHERE database = currentDatabase() AND startsWith(reason, 'broken') ORDER BY table, name"""
_LOADED = """SELECT table, min_block_number, max_block_number FROM system.parts
WHERE database = currentDatabase() AND active"""


class FailedWrites:
    """The writes of the engine in this process that failed, from now on."""

    def __init__(self, client: Client) -> None:
        """Ask on this connection to begin with."""
        self._before = _count(client)

    def any(self, client: Client) -> bool:
        """Return whether one failed, asked on a connection."""
        return _count(client) != self._before


class BrokenPart(NamedTuple):
    """A part that was set aside as it was loaded, since its files are too short."""

    table: str
    name: str
    replaced: bool
    """
    Whether its rows are there all the same, in the parts that were merged into it, or will be: the rows of the last insert are
    read again, since the position to go on from is read from the rows.
    """


def forget_empty_drafts(path: Path) -> None:
    """Remove the definitions of drafts that were written in vain: the engine opens no folder with an empty one."""
    for definition in path.glob(f"store/*/*/*{DRAFT}.sql"):
        if not definition.stat().st_size:
            definition.unlink()


def keep_parts(client: Client) -> None:
    """Have each table keep the parts that were merged for a while."""
    setting = f"old_parts_lifetime = {KEEP_PARTS_S}"
    for table, engine in engines(client):
        if setting not in engine:
            client.command(f"ALTER TABLE {table} MODIFY SETTING {setting}")


def take_stock(client: Client) -> list[BrokenPart]:
    """Return the parts that were set aside, and delete those whose rows are there all the same, or will be."""
    broken = client.query(_BROKEN).result_rows
    loaded = client.query(_LOADED).result_rows if broken else []
    found = []
    for table, name, level, first, last in broken:
        # Of a folder whose name says nothing, the engine tells no level and no blocks.
        ends = [any(of == table and low <= (end or 0) <= high for of, low, high in loaded) for end in (first, last)]
        latest = level == 0 and not any(of == table and low > last for of, low, _ in loaded)
        part = BrokenPart(table, name, replaced=latest or all(ends))
        if part.replaced:
            client.command(f"ALTER TABLE {table} DROP DETACHED PART '{name}'", settings={"allow_drop_detached": 1})
        found.append(part)
    return found


def _count(client: Client) -> int:
    rows = client.query(_COUNT).result_rows  # the engine lists an event from its first time on
    return int(rows[0][0]) if rows else 0
