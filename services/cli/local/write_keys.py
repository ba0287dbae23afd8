"""The file of write keys: who may send events, as which source, in which environment. It holds hashes, never a key."""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from services.cli.local import secret_files
from services.shared.credentials import ID_CHARS, digest, id_of
from services.shared.errors import Fatal, WrongArgument

Entry = dict[str, Any]


def read(file: Path) -> list[Entry]:
    """
    Return the entries of a file; none when it does not exist.

    Raises:
        WrongArgument: it cannot be read, or is not a list of entries.
    """
    if not file.exists():
        return []
    try:
        entries = yaml.safe_load(file.read_text("utf-8")) or []
    except OSError as error:
        raise WrongArgument(f"{file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongArgument(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(entries, list):
        raise WrongArgument(f"{file} is not a list of write keys")
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not all(
            isinstance(entry.get(name), str) for name in ("key_sha256", "source")
        ):
            raise WrongArgument(
                f"{file}: entry {number} is no write key with the texts key_sha256 and source: correct or delete it"
            )
    return entries


def add(
    file: Path,
    source: str,
    environment: str,
    *,
    client: str,
    backfill: bool = False,
    write_key: str | None = None,
    **more: Any,
) -> str:
    """
    Add a key to a file and return it; running ingest processes take it up within seconds.

    `client` is who holds it, `server` or `browser`; `more` are further members of its entry, as docs/ingest.md has them.

    Raises:
        Fatal: the source has a name that records cannot carry, the key is there already, or it is a browser's and may
            backfill.
    """
    for what, value in (("source", source), ("environment", environment)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
            raise WrongArgument(f"the {what} {value!r} must be 1 to 64 letters, digits, '.', '_' or '-'")
    if backfill and client == "browser":
        raise WrongArgument(
            "a browser's key cannot have backfill: anybody can read it, and would set the times of events"
        )
    key = write_key or _new()
    entry = {
        "key_sha256": digest(key),
        "source": source,
        "environment": environment,
        "client": client,
        "backfill": backfill,
    }
    with secret_files.held(file):
        entries = read(file)
        if any(entry["key_sha256"] == digest(key) for entry in entries):
            raise Fatal(f"this write key is in {file} already")
        _write(file, [*entries, {**entry, **more}])
    return key


def holds(file: Path, write_key: str) -> bool:
    """Return whether a key is in a file."""
    return any(entry["key_sha256"] == digest(write_key) for entry in read(file))


def rotate(file: Path, named: str, until: datetime) -> tuple[str, str]:
    """
    Return a new key like an existing one, which stays valid `until` then, and the id of the existing one.

    Args:
        file: The file of write keys.
        named: Id of the key, or its source if that has one key without an end.
        until: When the existing key ceases to be valid.

    Raises:
        Fatal: there is no such key, or more than one.
    """
    key = _new()
    with secret_files.held(file):
        entries = read(file)
        old = _one(file, entries, named, lambda entry: "not_after" not in entry)
        # Copied whole: what both share would be written as a reference, and no one could delete either by hand.
        new = {**copy.deepcopy(old), "key_sha256": digest(key)}
        old["not_after"] = until
        _write(file, [*entries, new])
    return key, id_of(old["key_sha256"])


def revoke(file: Path, named: str) -> Entry:
    """
    Remove a key from a file and return its entry.

    Raises:
        Fatal: there is no such key, or more than one.
    """
    with secret_files.held(file):
        entries = read(file)
        gone = _one(file, entries, named, lambda _: True)
        _write(file, [entry for entry in entries if entry is not gone])
    return gone


def _one(file: Path, entries: list[Entry], named: str, counts: Callable[[Entry], bool]) -> Entry:
    by_id = [entry for entry in entries if len(named) >= ID_CHARS and entry["key_sha256"].startswith(named)]
    found = by_id or [entry for entry in entries if entry["source"] == named and counts(entry)]
    if not found:
        raise Fatal(f"no key of {file} has the id or the source {named!r}; `tidemark keys list` shows them")
    if len(found) > 1:
        ids = ", ".join(id_of(entry["key_sha256"]) for entry in found)
        raise Fatal(f"{named!r} has several keys: give the id of one ({ids})")
    return found[0]


def _new() -> str:
    return f"tmk_{secrets.token_urlsafe(24)}"


def _write(file: Path, entries: list[Entry]) -> None:
    secret_files.replace(file, yaml.safe_dump(entries, sort_keys=False))
