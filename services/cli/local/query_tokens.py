"""The file of tokens: who may ask the query API. It holds hashes, never a token."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from services.cli.local import secret_files
from services.shared.credentials import ID_CHARS, digest, id_of
from services.shared.errors import Fatal, WrongArgument
from services.warehouse.http import tokens
from services.warehouse.http.tokens import Token


def listed(file: Path) -> list[Token]:
    """
    Return the tokens of a file; none when it does not exist.

    Raises:
        ConfigurationError: it has errors.
    """
    return list(tokens.read(file).values()) if file.exists() else []


def add(file: Path, name: str, not_after: datetime | None = None) -> str:
    """
    Add a token to a file and return it; a running warehouse takes it up within seconds.

    Raises:
        Fatal: the name cannot be told apart in a list.
        ConfigurationError: the file has errors.
    """
    if not name.strip() or not name.isprintable() or len(name) > 100:
        raise WrongArgument(f"the name {name[:120]!r} must be 1 to 100 printable characters")
    token = f"tmq_{secrets.token_urlsafe(24)}"
    with secret_files.held(file):
        _write(file, [*listed(file), Token(digest(token), name.strip(), not_after)])
    return token


def revoke(file: Path, named: str) -> Token:
    """
    Remove a token from a file and return its entry.

    Raises:
        Fatal: there is no such token, or more than one.
    """
    with secret_files.held(file):
        entries = listed(file)
        by_id = [each for each in entries if len(named) >= ID_CHARS and each.token_sha256.startswith(named)]
        found = by_id or [each for each in entries if each.name == named]
        if not found:
            raise Fatal(f"no token of {file} has the id or the name {named!r}; `tidemark tokens list` shows them")
        if len(found) > 1:
            ids = ", ".join(id_of(each.token_sha256) for each in found)
            raise Fatal(f"{named!r} has several tokens: give the id of one ({ids})")
        _write(file, [each for each in entries if each is not found[0]])
    return found[0]


def _write(file: Path, entries: list[Token]) -> None:
    secret_files.replace(file, yaml.safe_dump([_entry(each) for each in entries], sort_keys=False))


def _entry(token: Token) -> dict[str, Any]:
    end = {} if token.not_after is None else {"not_after": token.not_after}
    return {"token_sha256": token.token_sha256, "name": token.name, **end}
