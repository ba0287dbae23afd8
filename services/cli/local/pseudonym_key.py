"""The key of the pseudonyms of a stack on this machine: that of the environment, else one of its own in its folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from services.shared.pseudonyms import KEY_BYTES

VARIABLE = "TIDEMARK_PSEUDONYM_KEY"


def key_of(data: Path) -> str:
    """Return the key, in hexadecimal, and make it the first time."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    file = data / "pseudonym.key"
    if not file.exists():
        draft = file.with_name(file.name + ".draft")
        draft.touch(mode=0o600)  # before it holds the key
        draft.write_text(secrets.token_hex(KEY_BYTES) + "\n")
        draft.replace(file)
    return file.read_text().strip()
