"""A configuration file that is read again when it changes, and that others on the machine must not change."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from services.shared.errors import ConfigurationError

log = logging.getLogger(__name__)

T = TypeVar("T")


def open_to_others(path: Path, *, secret: bool, right: str = "send") -> str:
    """
    Return in words that every user of the machine may write a file, or read it if it holds a `secret`; empty if not.

    Its group may: that is how a service that runs as somebody else reads it. `right` is what the file gives.

    Raises:
        OSError: there is no such file.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return "is a folder: give the path of a file"
    may = [verb for verb, bit in (("read", stat.S_IROTH if secret else 0), ("write", stat.S_IWOTH)) if mode & bit]
    if not may:
        return ""
    why = "it holds secrets" if secret else f"whoever writes it may {right}"
    return f"every user of this machine may {' and '.join(may)} it, and {why}; run chmod o-rwx {path}"


class WatchedFile:
    """Gives what a file holds once it has changed since it was last looked at; without a path it never has."""

    def __init__(self, path: Path | None) -> None:
        """Take the file as it is now for read."""
        self.path = path
        self.unreadable: list[str] = []
        """The path, while what is there now cannot be taken over: what was known before is in force, until a restart fails."""
        self._seen = _stamp(path)

    def renewed(self, read: Callable[[Path], T], what: str) -> T | None:
        """
        Return what `read` makes of the file if it has changed; None if not, or if it has errors.

        Errors of any kind are logged as WHAT_unreadable, and what was known before stays in force: whoever looks at the file
        goes on looking.
        """
        seen = _stamp(self.path)
        if self.path is None or seen == self._seen:
            return None
        self._seen = seen
        try:
            found = read(self.path)
        except Exception as error:  # noqa: BLE001  a watch that ends at one would never take over another change
            problems = error.problems if isinstance(error, ConfigurationError) else [repr(error)]
            log.error("%s_unreadable", what, extra={"problems": problems})  # noqa: TRY400  the text says it
            self.unreadable = [str(self.path)]
            return None
        self.unreadable = []
        return found


def _stamp(path: Path | None) -> tuple[int, ...] | None:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino  # ctime: of a new owner or mode
