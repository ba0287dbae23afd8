"""Files that hold secrets, written all or nothing, by one at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE

from services.cli.output_files import unwritable
from services.shared.errors import WrongArgument


def there(file: Path) -> Path:
    """
    Return a file that is to be read.

    Raises:
        WrongArgument: it does not exist.
    """
    if not file.exists():
        raise WrongArgument(f"there is no file {file}")
    return file


@contextmanager
def held(file: Path) -> Iterator[None]:
    """
    Keep other runs of the tool from a file while it is read, changed and written: one would undo what the other did.

    Raises:
        Fatal: its folder cannot be made or read.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(file.parent, os.O_RDONLY)
    except OSError as error:
        raise unwritable(file, error) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def replace(file: Path, content: str) -> None:
    """
    Write a file that only its owner can read; one that is there keeps its mode, owner and group.

    Who makes a key as root would else take the file away from the service that reads it.

    Raises:
        Fatal: it cannot be written; or it is somebody else's, and only root could leave it to them.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, content)
    except OSError as error:
        raise unwritable(file, error) from error


def _replace(file: Path, content: str) -> None:
    draft = file.with_name(file.name + ".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)  # before it holds the secret
    with draft.open("w", encoding="utf-8") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())  # else a loss of power may leave the name on a file that is empty
    if file.exists():
        there = file.stat()
        mine = draft.stat()
        if (mine.st_uid, mine.st_gid) != (there.st_uid, there.st_gid):
            _give(draft, file, there)
        draft.chmod(S_IMODE(there.st_mode))
    draft.replace(file)


def _give(draft: Path, file: Path, owner: os.stat_result) -> None:
    try:
        os.chown(draft, owner.st_uid, owner.st_gid)
    except PermissionError:
        draft.unlink()
        raise WrongArgument(f"{file} is another user's: run this as its owner, or as root") from None
