"""The key of the pseudonyms of a stack on this machine: that of the environment, else one of its own in its folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from services.cli.local.own_secret import own_secret
from services.shared.errors import Fatal
from services.shared.pseudonyms import KEY_BYTES

VARIABLE = "TIDEMARK_PSEUDONYM_KEY"
_FILE = "pseudonym.key"


def existing(data: Path) -> str:
    """
    Return the key that there is, in hexadecimal, without making one.

    Raises:
        Fatal: there is none: a new one would make other pseudonyms than those in the log.
    """
    given = os.environ.get(VARIABLE)
    file = data / _FILE
    if given or file.exists():
        return given or file.read_text().strip()
    raise Fatal(f"set {VARIABLE} to the key of the ingest processes: user ids become pseudonyms by it")


def key_of(data: Path) -> str:
    """Return the key, in hexadecimal, and make it the first time."""
    return own_secret(VARIABLE, data / _FILE, lambda: secrets.token_hex(KEY_BYTES))
