"""The secrets of a stack on this machine: those of the environment, else some of its own in its folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from services.cli.local import secret_files
from services.shared.errors import WrongArgument
from services.shared.pseudonyms import KEY_BYTES, Pseudonyms, read_key

PSEUDONYM_KEY, LIVE_TOKEN = "TIDEMARK_PSEUDONYM_KEY", "TIDEMARK_INGEST_LIVE_TOKEN"
_KEY_FILE = "pseudonym.key"


def pseudonym_key(data: Path) -> str:
    """Return the key of the pseudonyms, in hexadecimal, and make it the first time."""
    return _made_once(PSEUDONYM_KEY, data / _KEY_FILE, secrets.token_hex(KEY_BYTES))


def existing_pseudonym_key(data: Path) -> str:
    """
    Return the key that there is, in hexadecimal, without making one.

    Raises:
        WrongArgument: there is none: a new one would make other pseudonyms than those in the log.
    """
    if os.environ.get(PSEUDONYM_KEY) or (data / _KEY_FILE).exists():
        return pseudonym_key(data)
    raise WrongArgument(f"set {PSEUDONYM_KEY} to the key of the ingest processes: user ids become pseudonyms by it")


def existing_pseudonyms(data: Path) -> Pseudonyms:
    """
    Return the pseudonyms by the key that there is.

    Raises:
        WrongArgument: there is none, or it is no key.
    """
    try:
        return Pseudonyms(read_key(existing_pseudonym_key(data)))
    except ValueError as error:
        raise WrongArgument(f"{PSEUDONYM_KEY}: {error}") from error


def live_token(data: Path) -> str:
    """Return the token of `/live`, and make it the first time."""
    return _made_once(LIVE_TOKEN, data / "live.token", secrets.token_urlsafe(24))


def _made_once(variable: str, file: Path, new: str) -> str:
    if given := os.environ.get(variable):
        return given
    if not file.exists():
        secret_files.replace(file, f"{new}\n")
    return file.read_text().strip()
