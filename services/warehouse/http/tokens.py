"""
Tokens: who may ask. Each can read everything that the API answers, and change nothing there.

It also signs in to the console, which records with a write key of its own.

The file is a YAML list (docs/warehouse.md). It holds the hashes of the tokens, never a token. A change is taken over while
running. A file that cannot be read, or has an error, changes nothing: it is logged and counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import Gauge

from services.shared.credentials import DIGEST, LONGEST, dated, digest, id_of
from services.shared.errors import Rejected
from services.shared.files.entry_fields import read_entry
from services.shared.files.entry_list import Hashes, read_entries
from services.shared.files.watched_file import WatchedFile

VARIABLE = "TIDEMARK_QUERY_TOKENS_FILE"
TOKEN_NAME = "tidemark.token_name"  # noqa: S105 - the name of a member, not a token
"""In the scope of a request: who has the token that it came with; missing where there are no tokens."""
_HASHES = Hashes("token_sha256", never="token", right="read all accounts", command="tidemark tokens create")
_LOOK_EVERY_S = 1.0
_digest = lru_cache(maxsize=1_024)(digest)


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token, by its hash."""

    token_sha256: str
    name: str
    """Who has it: a person or a program."""
    not_after: datetime | None = None
    """From then on it is not taken any more."""

    @property
    def id(self) -> str:
        """Its name in lists and in the log."""
        return id_of(self.token_sha256)


def read(path: Path) -> dict[str, Token]:
    """
    Return the tokens of a file by their hashes.

    Raises:
        ConfigurationError: with everything that is wrong with it.
    """
    return read_entries(path, VARIABLE, "token", _read, _HASHES)


def _read(given: Any, where: str, problems: list[str]) -> tuple[str, Token]:
    """Return an entry with what is right of it, by its hash, and add all that is wrong to the problems."""
    hint = "is no token; write fields such as token_sha256 and name"
    entry, fields = read_entry(dated(given), Token("", ""), where, hint, problems)
    if "token_sha256" in fields and not DIGEST.fullmatch(entry.token_sha256):
        problems.append(f"{where}: token_sha256 must be 64 hexadecimal digits, in lower case")
    if "name" in fields and not entry.name:
        problems.append(f"{where}: name must not be empty")
    return entry.token_sha256, entry


class Tokens:
    """The tokens that are valid now."""

    def __init__(self, path: Path, shown: Gauge | None = None, clock: Callable[[], float] = time.time) -> None:
        """
        Read the file for the first time.

        Raises:
            ConfigurationError: with everything that is wrong with it.
        """
        self._file = WatchedFile(path)
        self._known: Mapping[str, Token] = read(path)
        self._clock = clock
        self._looked = clock()
        if shown is not None:
            shown.set_function(lambda: len(self.unreadable()))

    def named(self, text: str) -> Token:
        """
        Return what a token stands for.

        Raises:
            Rejected: it is not known, or not valid any more.
        """
        self._renew()
        found = self._known.get(_digest(text)) if len(text) <= LONGEST else None
        if found is None:
            raise Rejected("unknown_token", "", "this token is not known here; make one with `tidemark tokens create`")
        if found.not_after is not None and self._clock() >= found.not_after.timestamp():
            until = f"{found.not_after:%Y-%m-%d %H:%M} UTC"
            detail = f"this token was valid until {until}; make another one with `tidemark tokens create`"
            raise Rejected("expired_token", "", detail)
        return found

    def unreadable(self) -> list[str]:
        """Return the path of the file, while what is there now cannot be taken over."""
        self._renew()
        return self._file.unreadable

    def _renew(self) -> None:
        """Take the file over if it has changed; looked at once a second at most."""
        now = self._clock()
        if 0 <= now - self._looked < _LOOK_EVERY_S:
            return
        self._looked = now
        renewed = self._file.renewed(read, "query_tokens")
        if renewed is not None:
            self._known = renewed
