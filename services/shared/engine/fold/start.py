"""
Where a lane may go on: its position, compared with what exists of the source and with the group's offset.

No I/O: the Kafka lane and the in-memory runner believe a position by the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.shared.engine.errors import ChangelogBehind, ChangelogRecreated, SourceBehind, SourceGap, SourceRecreated
from services.shared.engine.fold.committed import Committed
from services.shared.engine.position import UNKNOWN_TOPIC, Position


@dataclass(frozen=True, slots=True)
class Bounds:
    """What exists of a source partition, and what the group has committed in it, None if nothing."""

    earliest: int
    end: int
    committed: Committed | None
    topic_id: bytes = UNKNOWN_TOPIC
    state_ids: str = ""
    """The changelogs that are there, each store with the id of its topic; empty on a cluster that does not tell."""


def start(
    topic: str, partition: int, held: tuple[Position, bytes] | None, bounds: Bounds, *, rebuild: bool = False
) -> Position:
    """
    Return where a lane goes on whose changelog holds a position and the id of its topic, or nothing.

    A group that is ahead by one transaction, which began where the changelog ends, is not believed: Kafka has committed that
    transaction in part (docs/adr/0136). The lane folds it again. With `rebuild`, changelogs that hold nothing are made anew from
    all that there is of the source.

    Raises:
        SourceRecreated, ChangelogBehind, ChangelogRecreated, SourceBehind: the changelog and the source do not fit together.
        SourceGap: see `check`.
    """
    position = held[0] if held is not None else None
    if held is not None:
        check_id(topic, partition, held[1], bounds.topic_id)
    committed = bounds.committed
    if committed is not None and rebuild and position is None:
        check(topic, partition, committed.given_out.offset, bounds)  # what comes next was never given out, nor folded
    elif committed is not None:
        reached = committed.position
        if position is None or (reached > position and committed.before != position):
            ends, moved = position.offset if position else None, committed.before is None
            raise ChangelogBehind(topic, partition, reached.offset, ends, moved=moved)
        there = _ids(bounds.state_ids)
        if any(there.get(store, id_) != id_ for store, id_ in _ids(committed.state_ids).items()):
            raise ChangelogRecreated(topic, partition)
        check_silence(topic, partition, committed.quiet_until, bounds)
    if position is None:
        return Position(bounds.earliest)
    check(topic, partition, position.offset, bounds)
    return position


def quiet_until(position: Position, held: Position | None, committed: Committed | None) -> Position | None:
    """
    Return up to where a lane that goes on at `position` gives nothing out, since it did so before; None: it does not hold back.

    Of a lane whose changelogs hold nothing this is what its group has reached. It is remembered until the lane is there.
    """
    if committed is None:
        return None
    until = committed.given_out if held is None else committed.quiet_until
    return until if until is not None and until > position else None


def is_torn(position: Position, committed: Committed) -> bool:
    """
    Return whether a group has not come as far as the changelogs, or farther.

    Both are written in one transaction. So Kafka has committed it in part, or somebody has moved the group's offset.
    """
    if committed.before is None:  # the step is not known
        return committed.position.offset != position.offset
    return committed.position != position


def _ids(told: str) -> dict[str, str]:
    """Return the id of each store's topic; a release may have a store that the one before had not."""
    return dict(each.split("=") for each in told.split())


def check(topic: str, partition: int, offset: int, bounds: Bounds) -> None:
    """
    Compare an offset that a lane has reached with what exists of its source.

    Raises:
        SourceBehind: the source ends before it.
        SourceGap: the source begins behind it.
    """
    if bounds.end < offset:
        raise SourceBehind(topic, partition, bounds.end, offset)
    if bounds.earliest > offset:
        raise SourceGap(topic, partition, offset, bounds.earliest)


def check_silence(topic: str, partition: int, until: Position | None, bounds: Bounds) -> None:
    """
    Compare the position up to which a lane that is being rebuilt gives nothing out with what exists of its source.

    Raises:
        SourceBehind: the source ends before it, and what comes next was never given out.
    """
    if until is not None and bounds.end < until.offset:
        raise SourceBehind(topic, partition, bounds.end, until.offset)


def check_id(topic: str, partition: int, folded: bytes, found: bytes) -> None:
    """
    Compare the id of the topic that a lane has folded with that of the one that is there; unknown ids pass.

    Raises:
        SourceRecreated: they differ.
    """
    if UNKNOWN_TOPIC not in (folded, found) and folded != found:
        raise SourceRecreated(topic, partition, folded, found)
