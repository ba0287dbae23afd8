"""
What follows when a fold raises: one set of rules, for lanes on Kafka and in memory alike.

A raise leaves the processor in an unknown state, so the lane is restored and folds again. `decide` says what is done
differently this time. It follows from the error and from what has raised before, never from how the log was cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from services.shared.engine.errors import FoldRaised
from services.shared.errors import Fatal, KeyFault

PROCESS_ERRORS = (Fatal, OSError, MemoryError)
"""Errors for which no record and no key is blamed: they end the process, as only a new one can know what is durable."""


class SkipRecord(NamedTuple):
    """Fold the steps of the record that went well, and dead-letter it."""

    offset: int
    step: int
    detail: str


class SetApart(NamedTuple):
    """Set a key of the processor's state apart just before this step of the record, and fold the record."""

    offset: int
    step: int
    key: str
    detail: str


class FoldCarefully(NamedTuple):
    """
    Gather changes after each record up to an offset.

    The processor could not give its changes, or one is too large, and it is not known which record made it. Gathered one
    by one, the record at fault shows.
    """

    until: int


class StopLane(NamedTuple):
    """Stop the lane: a restore would not help."""

    detail: str


Remedy = SkipRecord | SetApart | FoldCarefully | StopLane


class Patience(NamedTuple):
    """How much a lane puts up with: raising records in a row, and restores `within` so much time of the clock that `decide` gets."""

    in_a_row: int
    restores: int
    within: float


@dataclass(frozen=True, slots=True)
class RaiseHistory:
    """What has raised before in one lane."""

    in_a_row: int = 0
    """Records that raised, with none between them that was folded."""
    unnamed: int = 0
    """Raises in a row where it is not known which record is at fault."""
    last: int = -1
    """Offset of the last record that raised."""
    restored: tuple[float, ...] = ()
    """When the lane was restored, as far as it still counts."""


def decide(
    error: FoldRaised,
    history: RaiseHistory,
    patience: Patience,
    *,
    now: float,
    folded: int,
    reached: int,
    quarantines: bool,
) -> tuple[Remedy, RaiseHistory]:
    """
    Return what to do about a raise, and what to remember of it.

    `folded` is the last record that was folded well, `reached` where the lane stands; `quarantines` says whether the
    processor can set a key apart.
    """
    in_a_row = 0 if error.offset is not None and folded > history.last else history.in_a_row
    unnamed, last, cause = 0, history.last, error.cause
    remedy: Remedy
    if error.offset is None:
        unnamed = history.unnamed + 1
        remedy = FoldCarefully(reached)
    elif quarantines and isinstance(cause, KeyFault):
        remedy = SetApart(error.offset, error.step, cause.key, cause.detail)
    else:
        in_a_row += 1
        last = max(last, error.offset)
        remedy = SkipRecord(error.offset, error.step, f"{type(cause).__name__}: {cause}")
    restored = (*(at for at in history.restored if at >= now - patience.within), now)
    if max(in_a_row, unnamed) >= patience.in_a_row:
        remedy = StopLane(f"{max(in_a_row, unnamed)} folds in a row raised, last: {error}")
    elif len(restored) > patience.restores:
        remedy = StopLane(f"the lane would be restored for the {len(restored)}th time in a while, last: {error}")
    return remedy, RaiseHistory(in_a_row, unnamed, last, restored)
