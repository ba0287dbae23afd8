"""The token of `/live` of a stack on this machine: that of the environment, else one of its own in its folder."""

from __future__ import annotations

import secrets
from pathlib import Path

from services.cli.local.own_secret import own_secret

VARIABLE = "TIDEMARK_INGEST_LIVE_TOKEN"


def token_of(data: Path) -> str:
    """Return the token, and make it the first time."""
    return own_secret(VARIABLE, data / "live.token", lambda: secrets.token_urlsafe(24))
