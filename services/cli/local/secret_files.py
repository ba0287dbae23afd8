"""Files that hold secrets, written all or nothing."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_IMODE

from services.shared.errors import Fatal


def replace(file: Path, content: str) -> None:
    """
    Write a file that only its owner can read; one that is there keeps its mode, owner and group.

    Who makes a key as root would else take the file away from the service that reads it.

    Raises:
        Fatal: the file is somebody else's, and only root could leave it to them.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)  # before it holds the secret
    draft.write_text(content, "utf-8")
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
        raise Fatal(f"{file} is another user's: run this as its owner, or as root") from None
