"""The file of write keys: who may send events, as which source, in which environment."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

import yaml

from services.shared.errors import Fatal


def read(file: Path) -> list[dict[str, Any]]:
    """
    Return the entries of a file; none when it does not exist.

    Raises:
        Fatal: it is not a list of entries.
    """
    if not file.exists():
        return []
    entries = yaml.safe_load(file.read_text()) or []
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "write_key" in e for e in entries):
        raise Fatal(f"{file} is not a list of write keys")
    return entries


def add(file: Path, source: str, environment: str, *, backfill: bool = False, write_key: str | None = None) -> str:
    """
    Add a key to a file and return it; running ingest processes take it up within seconds.

    Raises:
        Fatal: the source has a name that records cannot carry, or the key is there already.
    """
    for what, value in (("source", source), ("environment", environment)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
            raise Fatal(f"the {what} {value!r} must be 1 to 64 letters, digits, '.', '_' or '-'")
    entries = read(file)
    key = write_key or f"tmk_{secrets.token_urlsafe(24)}"
    if any(entry["write_key"] == key for entry in entries):
        raise Fatal(f"this write key is in {file} already")
    entries.append({"write_key": key, "source": source, "environment": environment, "backfill": backfill})
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".draft")
    draft.touch(mode=0o600)  # before it holds keys
    draft.write_text(yaml.safe_dump(entries, sort_keys=False))
    draft.chmod(0o600)
    draft.replace(file)
    return key


def key_of(file: Path, source: str, *, backfill: bool) -> str | None:
    """Return the key of a source in a file, if it has one of that kind."""
    for entry in read(file):
        if entry.get("source") == source and bool(entry.get("backfill")) == backfill:
            return str(entry["write_key"])
    return None
