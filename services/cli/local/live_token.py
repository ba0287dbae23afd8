"""The token of `/live` of a stack on this machine: that of the environment, else one of its own in its folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

VARIABLE = "TIDEMARK_INGEST_LIVE_TOKEN"
_FILE = "live.token"


def token_of(data: Path) -> str:
    """Return the token, and make it the first time."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    file = data / _FILE
    if not file.exists():
        draft = file.with_name(file.name + ".draft")
        draft.touch(mode=0o600)  # before it holds the token
        draft.write_text(secrets.token_urlsafe(24) + "\n")
        draft.replace(file)
    return file.read_text().strip()
