"""A secret of a stack on this machine: that of the environment, else one of its own in its folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from services.cli.local import secret_files


def own_secret(variable: str, file: Path, make: Callable[[], str]) -> str:
    """Return the secret that the environment variable names, else that of the file, which is made the first time."""
    given = os.environ.get(variable)
    if given:
        return given
    if not file.exists():
        secret_files.replace(file, make() + "\n")
    return file.read_text().strip()
