"""
Files of driven histories: what the folds of the scorer said, to be judged again by other rules.

A file is named by the history and a key of all that it depends on: the events, the tracking plan, the model, and the
code of the scorer. With any of these changed the key differs, and the history is driven anew.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from xxhash import xxh3_128

import schemas
import services.scorer
import services.shared.calendars
import services.shared.tracking_plan
from services.backtest.driving.lane import Span
from services.backtest.driving.scoring import Scored
from services.backtest.driving.snapshots import Snapshots

FORMAT = 3
"""Of the file. Raise it too where driving itself comes to keep something else."""
_CODE = (services.scorer, services.shared.calendars, services.shared.tracking_plan, schemas)


class _KeptFile(msgspec.Struct, array_like=True):
    format: int
    key: str
    span: tuple[int, int]
    accounts: list[str]
    activity: bytes
    rejected: dict[str, int]
    events: int
    shards: list[list[bytes]]


def key_of(*parts: str) -> str:
    """Return the key of a driven history: a hash of these parts and of the scorer's code."""
    digest = xxh3_128(code_fingerprint().encode())
    for part in parts:
        digest.update(f"\0{part}".encode())
    return digest.hexdigest()


@cache
def code_fingerprint() -> str:
    """Return a hash of the code and the records that snapshots depend on."""
    digest = xxh3_128()
    for package in _CODE:
        for path in _sources(Path(package.__path__[0])):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.suffix in {".py", ".yaml", ".avsc"})


def load(path: Path, key: str) -> tuple[Scored, Snapshots] | None:
    """Return what is kept in a file under this key; None: there is no such file, or it was made of something else."""
    try:
        file = msgspec.msgpack.decode(path.read_bytes(), type=_KeptFile)
    except (OSError, msgspec.DecodeError):
        return None
    if file.format != FORMAT or file.key != key:
        return None
    activity = np.frombuffer(file.activity, np.uint16).reshape(len(file.accounts), file.span[1] - file.span[0])
    scored = Scored(Span(*file.span), file.accounts, activity, file.rejected, file.events)
    return scored, Snapshots(file.shards)


def save(path: Path, key: str, scored: Scored, snapshots: Snapshots) -> None:
    """Write a file, in place of the one that was there."""
    file = _KeptFile(
        FORMAT, key, (scored.span.first_day, scored.span.end_day), scored.accounts, scored.activity.tobytes(), scored.rejected, scored.events,
        snapshots.shards,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        new.write_bytes(msgspec.msgpack.encode(file))
        new.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
