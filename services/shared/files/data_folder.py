"""The data folder of a process, where it cannot be used: said as what it is, a setting that does not fit or a full disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.shared.errors import ConfigurationError, Fatal

_UNTIL_MENDED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP}
)
"""What stays until somebody changes the folder or the setting."""


@contextmanager
def using(folder: Path, setting: str = "TIDEMARK_DATA_DIR") -> Iterator[None]:
    """
    Make files in a data folder, which a setting or an option names.

    Raises:
        ConfigurationError: this process may not, or something else is in the way.
        Fatal: it cannot just now: the disk is full, or does not answer.
    """
    try:
        yield
    except OSError as error:
        problem = f"{setting}: {error.filename or folder} cannot be used ({error.strerror or error})"
        if error.errno in _UNTIL_MENDED:
            advice = "let the user of this process write there, or name a folder where it may"
            raise ConfigurationError([f"{problem}: {advice}"]) from error
        raise Fatal(f"{problem}: see to its disk") from error
