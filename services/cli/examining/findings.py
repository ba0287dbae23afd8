"""What a look at something comes to."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from services.shared import exit_status
from services.shared.errors import TidemarkError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    detail: str
    status: int = exit_status.FATAL
    """What the command ends with where this is not good; the highest of all counts."""


def judge(what: str, look: Callable[[], str]) -> Finding:
    """Look at something, and return what was found: its text, or why it is bad."""
    try:
        return Finding(what, good=True, detail=look())
    except (TidemarkError, OSError, subprocess.SubprocessError) as error:
        return Finding(what, good=False, detail=str(error))
