"""What a service declares about its lanes: the source topic, the stores behind the processor, and how records are dead-lettered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from services.shared.engine.processor import Output, Processor, SourceRecord
from services.shared.errors import Poison


class SourceMode(Enum):
    """What the offsets of a source topic may look like."""

    CONTIGUOUS = "contiguous"
    """Never written by transactions: no holes exist, so a hole means lost records and is refused."""

    TRANSACTIONAL = "transactional"
    """Written by transactions: markers and aborted records leave holes, so forward gaps are allowed."""


class AppendOrder(Enum):
    """When a lane's appends are written. They are never part of its transaction, so one of two things may happen in a crash."""

    AFTER_COMMIT = "after_commit"
    """
    Only what is durable is ever written; what was committed last may not be, so `Processor.opened` gives it again.

    For what must not be said unless it holds, such as a decision.
    """

    BEFORE_COMMIT = "before_commit"
    """
    All are acknowledged before the transaction that they follow from commits, so none is ever missing.

    After a crash in between the records are folded again and written again: readers have to drop repeats. The lane needs
    no memory of what it has written.
    """


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """
    The lanes of one source topic: one per partition, each with a processor, changelogs and a transactional writer of its own.

    Topic names are those of schemas/topics, without the prefix that an installation may put before them.
    """

    topic: str
    mode: SourceMode
    stores: Mapping[str, str]
    """Store name to changelog topic. No other lane topic may use these changelogs. Each also holds the position."""
    processor: Callable[[int], Processor]
    """Make an empty processor for one partition."""
    dead_letter: Callable[[SourceRecord, Poison], Output]
    """Turn a record that can never be applied into one for the dead letters."""
    outputs: tuple[str, ...] = ()
    """
    Topics that the lanes write to, dead letters and appends included: a worker starts only where they exist, and says so where
    one is gone later. The limits of topics without a record in schemas/topics are asked for by this too.
    """
    appends: AppendOrder = AppendOrder.AFTER_COMMIT
    """When what the processor appends is written."""
    closed: Callable[[int], None] | None = None
    """Called with the partition when its lane leaves this worker, so that the service can drop its metrics. May not raise."""

    def __post_init__(self) -> None:
        """Refuse a lane without any store: its position would have no home."""
        if not self.stores:
            raise ValueError(f"the lanes of {self.topic} need at least one store, for their position")

    @property
    def position_store(self) -> str:
        """The store whose changelog decides where the lane goes on."""
        return next(iter(self.stores))
