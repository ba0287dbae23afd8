"""
The released schema files: one for each version of each record, as `lock.json` lists them.

A file in the lock never changes. `schemas.lock` adds new ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent
"""The folder that holds one sub-folder a record."""


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One released version of one record. `text` is the file as it was released, `path` relative to `ROOT`."""

    record: str
    version: int
    path: str
    text: str
    lock_id: int
    sha256: str

    @property
    def subject(self) -> str:
        """Return the full name of the record, under which a schema registry knows it."""
        schema = json.loads(self.text)
        return f"{schema['namespace']}.{schema['name']}"


def _load() -> tuple[SchemaFile, ...]:
    lock = json.loads((ROOT / "lock.json").read_text("utf-8"))
    files = []
    for path, entry in lock.items():
        record, file_name = path.split("/")
        version = int(file_name.removeprefix("v").removesuffix(".avsc"))
        text = (ROOT / path).read_text("utf-8")
        files.append(SchemaFile(record, version, path, text, entry["id"], entry["sha256"]))
    return tuple(sorted(files, key=lambda f: (f.record, f.version)))


FILES: tuple[SchemaFile, ...] = _load()
"""Every schema file, by record and version."""

LATEST: dict[str, SchemaFile] = {f.record: f for f in FILES}
"""The newest file of each record."""

RECORDS: tuple[str, ...] = tuple(LATEST)
"""Names of the records, which are the names of their folders."""
