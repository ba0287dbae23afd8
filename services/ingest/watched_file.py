"""A configuration file that is read again when it changes, and that others on the machine must not change."""

from __future__ import annotations

import stat
from pathlib import Path


def open_to_others(path: Path, *, secret: bool) -> str:
    """
    Return in words that every user of the machine may write a file, or read it if it holds a `secret`; empty if not.

    Its group may: that is how a service that runs as somebody else reads it.

    Raises:
        OSError: there is no such file.
    """
    mode = path.stat().st_mode
    may = [verb for verb, bit in (("read", stat.S_IROTH if secret else 0), ("write", stat.S_IWOTH)) if mode & bit]
    if not may:
        return ""
    why = "it holds secrets" if secret else "whoever writes it may send"
    return f"every user of this machine may {' and '.join(may)} it, and {why}; run chmod o-rwx {path}"


class WatchedFile:
    """Tells whether a file has changed since it was last looked at; without a path it never has."""

    def __init__(self, path: Path | None) -> None:
        """Take the file as it is now for read."""
        self.path = path
        self._seen = _stamp(path)

    def changed(self) -> Path | None:
        """Return the path if the file has changed since the last time, and take it for read."""
        seen = _stamp(self.path)
        if self.path is None or seen == self._seen:
            return None
        self._seen = seen
        return self.path


def _stamp(path: Path | None) -> tuple[int, ...] | None:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode
