"""
Small file systems in memory, so that a disk can really be full: writes then fail with ENOSPC, as on a real one.

It takes the right to mount. Where this machine does not give it, folders are folders, and `why_not` says why.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

SIZE_MB = 256
"""A campaign writes some 50 MB to each."""
_FILLER = "filler"


class Volumes:
    """Volumes below one folder, by name."""

    def __init__(self, root: Path) -> None:
        """Take the folder."""
        self.root = root
        self.why_not: str | None = None
        """Why there are no volumes; None: there are."""
        self._mounted: list[Path] = []

    def make(self, names: Iterable[str]) -> None:
        """Make volumes, or else folders."""
        for name in names:
            path = self.root / name
            path.mkdir(parents=True, exist_ok=True)
            if self.why_not is None:
                self._mount(path)

    def remove(self) -> None:
        """Unmount what was mounted."""
        for path in self._mounted:
            subprocess.run(["umount", "--lazy", str(path)], check=False, timeout=30)
        self._mounted = []

    def fill(self, name: str) -> int:
        """Write to a volume until it is full; return how many bytes that took."""
        written = 0
        block = b"\0" * (1 << 20)
        with (self.root / name / _FILLER).open("ab", buffering=0) as file:
            while True:
                try:
                    written += file.write(block)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    if len(block) == 1:
                        return written
                    block = b"\0"

    def free(self, name: str) -> None:
        """Give back what `fill` took."""
        (self.root / name / _FILLER).unlink(missing_ok=True)

    def _mount(self, path: Path) -> None:
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            self.why_not = "mounting a small file system needs root"
            return
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=700", "tidemark-chaos", str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        except OSError as error:
            self.why_not = f"mount cannot be run: {error}"
            return
        if done.returncode:
            self.why_not = f"a small file system cannot be mounted: {done.stderr.strip()}"
        else:
            self._mounted.append(path)
