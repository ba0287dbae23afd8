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

FORMAT = 5
"""Of the file. Raise it too where driving itself comes to keep something else."""
_LENGTH = 8
_CODE = (services.scorer, services.shared.calendars, services.shared.tracking_plan, schemas)


class _Head(msgspec.Struct, array_like=True):
    """What a file begins with, after its own length; the frames follow."""

    format: int
    key: str
    span: tuple[int, int]
    accounts: list[str]
    activity: bytes
    rejected: dict[str, int]
    events: int
    shards: list[list[int]]
    """The length of each frame."""


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
        with path.open("rb") as file:
            length = min(int.from_bytes(file.read(_LENGTH)), path.stat().st_size)  # of another file it may be anything
            head = msgspec.msgpack.decode(file.read(length), type=_Head)
            if head.format != FORMAT or head.key != key:
                return None
            shards = [[file.read(length) for length in lengths] for lengths in head.shards]
    except (OSError, msgspec.DecodeError):
        return None
    if [[len(frame) for frame in frames] for frames in shards] != head.shards:
        return None  # the end of the file is missing
    activity = np.frombuffer(head.activity, np.uint16).reshape(len(head.accounts), head.span[1] - head.span[0])
    scored = Scored(Span(*head.span), head.accounts, activity, head.rejected, head.events)
    return scored, Snapshots(shards)


def save(path: Path, key: str, scored: Scored, snapshots: Snapshots) -> None:
    """Write a file, in place of the one that was there, frame by frame: they are most of what is in memory."""
    head = msgspec.msgpack.encode(
        _Head(
            FORMAT, key, (scored.span.first_day, scored.span.end_day), scored.accounts, scored.activity.tobytes(), scored.rejected,
            scored.events, [[len(frame) for frame in frames] for frames in snapshots.shards],
        )
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with new.open("wb") as file:
            file.write(len(head).to_bytes(_LENGTH))
            file.write(head)
            for frames in snapshots.shards:
                file.writelines(frames)
        new.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
