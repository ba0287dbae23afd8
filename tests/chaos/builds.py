"""
A second build of Tidemark to upgrade from: this very tree as the release before would have been.

It is a copy in a folder, with one line changed: the newest level of formats is not there. So it writes the level before,
does not know the ids of the newest schemas, and refuses the newest state, as a release of yesterday does. Until there is
a release to upgrade from, all else is the same code. Its processes are started in that folder, and import from it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PACKAGES = ("services", "schemas")
_FILE, _LINE, _OLDER = "schemas/formats.py", "\nKNOWN = LEVELS\n", "\nKNOWN = LEVELS[:-1]\n"
_ASK = "import services, schemas.formats as f; print(f.NEWEST, services.__file__)"


def older(folder: Path) -> Path:
    """
    Make the build of the level before in a folder and return that.

    Raises:
        RuntimeError: what runs there is not that build.
    """
    for package in _PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / _FILE
    text = file.read_text("utf-8")
    if text.count(_LINE) != 1:
        raise RuntimeError(f"{_FILE} does not have the line that the older build changes")
    file.write_text(text.replace(_LINE, _OLDER), "utf-8")
    newest = newest_of(ROOT)
    if newest_of(folder) != newest - 1:
        raise RuntimeError(f"the build in {folder} does not know one level less than this tree, which knows {newest}")
    return folder


def newest_of(folder: Path) -> int:
    """Ask a process of a build for the newest level that it knows; RuntimeError where it imports from elsewhere."""
    asked = subprocess.run(
        [sys.executable, "-c", _ASK], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    newest, path = asked.stdout.strip().split(" ", 1)
    if not Path(path).is_relative_to(folder):
        raise RuntimeError(f"a process started in {folder} imports from {path}")
    return int(newest)
