"""A secret of a stack on this machine: that of the environment, else one of its own in its folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def own_secret(variable: str, file: Path, make: Callable[[], str]) -> str:
    """Return the secret that the environment variable names, else that of the file, which is made the first time."""
    given = os.environ.get(variable)
    if given:
        return given
    if not file.exists():
        draft = file.with_name(file.name + ".draft")
        draft.touch(mode=0o600)  # before it holds the secret
        draft.write_text(make() + "\n")
        draft.replace(file)
    return file.read_text().strip()
