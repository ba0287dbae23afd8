"""Files that a long command writes at its end, checked at its beginning: work is not to be lost for want of a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from services.shared.errors import Fatal, WrongArgument

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""What is not wrong with the name of a file: it may be written another time."""


def unwritable(file: Path, error: OSError) -> Fatal:
    """Return the error that says that a file cannot be written: of who named it, or of the disk."""
    kind = Fatal if error.errno in _OF_THE_DISK else WrongArgument
    return kind(f"{file} cannot be written: {error.strerror or error}")


def require_files(files: Mapping[str, Path | None]) -> None:
    """
    Check that files can be written, by their options.

    Raises:
        WrongArgument: one cannot, or two options name the same one.
    """
    named: dict[Path, str] = {}
    for option, path in files.items():
        if path is None:
            continue
        if path.is_dir():
            raise WrongArgument(f"{option} {path} cannot be written: it is a folder; name a file in it")
        if _is_no_file(path):
            continue  # such as /dev/stdout: nothing is put beside it
        if not path.parent.is_dir() or not _may(path.parent, os.W_OK | os.X_OK):
            raise WrongArgument(
                f"{option} {path} cannot be written: there is no folder {path.parent.absolute()}, or it is not writable"
            )
        if path.exists() and not _may(path, os.W_OK):
            raise WrongArgument(
                f"{option} {path} cannot be written: the file is there and not writable; name another one"
            )
        other = named.setdefault(path.resolve(), option)
        if other != option:
            raise WrongArgument(
                f"{other} and {option} both name {path}: one would replace the other; name another file"
            )


def require_folder(option: str, folder: Path | None) -> None:
    """
    Check that files can be written into a folder, which may have to be made.

    Raises:
        WrongArgument: they cannot.
    """
    if folder is None:
        return
    there = next((each for each in (folder, *folder.absolute().parents) if each.exists()), Path("/"))
    if not there.is_dir():
        raise WrongArgument(
            f"{option} {folder} has to be a folder, and {there} is a file: name a folder, or move the file away"
        )
    if not _may(there, os.W_OK | os.X_OK):
        raise WrongArgument(f"{option} {folder} cannot be used: the folder {there} is not writable; name another one")


def write_whole(file: Path, content: bytes) -> None:
    """
    Write a file, all or nothing: where a link leads, and through what is no file, such as a device.

    Raises:
        OSError: it cannot be written.
    """
    target = file.resolve()
    if target.exists() and not target.is_file():
        target.write_bytes(content)
        return
    draft = target.with_name(f".{target.name}.draft")
    try:
        draft.write_bytes(content)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _is_no_file(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _may(path: Path, mode: int) -> bool:
    """Return whether this process may, as the user that it acts as: that is whom `open` asks for."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
