"""A configuration file that is read again when it changes."""

from __future__ import annotations

from pathlib import Path


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


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
