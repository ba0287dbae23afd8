"""What a machine has: Java and the jars of the embedded broker, disk, formats, public holidays."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

_ENOUGH_DISK = 2 * 1024**3


def formats() -> str:
    """Say which formats are written and read."""
    from services.shared.formats import FormatSettings, in_words
    from services.shared.settings import load

    return in_words(load(FormatSettings).write)


def java() -> str:
    """Say which Java the broker would run on."""
    from services.shared.kafka.embedded.java import java

    path = java()
    output = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    version = re.search(r'version "([^"]+)"', output)
    return f"{version[1] if version else output.splitlines()[0]} at {path}"


def jars() -> str:
    """Say whether the broker's jars are there."""
    from services.shared.kafka.embedded.jars import ensure, local_repository

    return f"{len(ensure())} present and checked in {local_repository()}"


def disk(folder: Path) -> str:
    """Say how much room there is for a folder."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / 1024**3:.1f} GB free at {there}"
    if free < _ENOUGH_DISK:
        raise OSError(f"{text}: have at least {_ENOUGH_DISK // 1024**3} GB, or choose another --data")
    return text


def holidays() -> str:
    """Say for which years there are public holidays; in time before they end."""
    from services.shared.calendars import public_holidays

    years = f"public holidays are known from {public_holidays.FIRST_YEAR} to {public_holidays.LAST_YEAR}"
    if time.gmtime().tm_year > public_holidays.LAST_YEAR - 2:
        raise OSError(f"{years}: install a newer release, after that year none count")
    return years
