"""One batch: records of the log as rows by table, with what is to be known about them once they are stored."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas import codec
from schemas.topics import USAGE_DETAILS
from services.shared.kafka.partition import TopicPartition
from services.warehouse.domain.blocks import RECORDS
from services.warehouse.domain.erasing import Erasure, erasure
from services.warehouse.domain.rows import TABLE_OF_TOPIC, Misplaced, Place, Row, row
from services.warehouse.reading import PartitionMessages, Read

log = logging.getLogger(__name__)


class Stop(NamedTuple):
    """The offset of a record that this version does not know, and why."""

    offset: int
    detail: str


@dataclass(slots=True)
class Batch:
    """Rows of one batch by table, in offset order within each partition."""

    rows: dict[str, Sequence[Row]] = field(default_factory=dict)
    erasures: list[Erasure] = field(default_factory=list)
    """Orders to erase people and accounts."""
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many records made no row, by topic and reason: control, unreadable or misplaced."""
    oldest: dict[TopicPartition, int] = field(default_factory=dict)
    """The first append time of each partition, milliseconds."""
    newest: dict[TopicPartition, int] = field(default_factory=dict)
    """The last append time of each partition, milliseconds."""
    stopped: dict[TopicPartition, Stop] = field(default_factory=dict)
    """Partitions that hold a record of a newer version, of which nothing from there on is in the batch."""


def build(messages: Mapping[TopicPartition, Iterable[Any]]) -> Batch:
    """
    Decode consumed messages; their `offset`, `timestamp` and `value` are used.

    A record that cannot be read, or belongs on another topic, is skipped, counted and named in the log: the scorer puts it
    on the dead letters. One in a schema that is not known stops its partition: a newer version can store it.
    """
    batch = Batch()
    groups: dict[str, list[PartitionMessages]] = {}
    for place, group in messages.items():
        groups.setdefault(TABLE_OF_TOPIC[place[0]], []).append(PartitionMessages(*place, list(group)))
    for table, of_table in groups.items():
        quick = Read(RECORDS[table], of_table) if table in RECORDS else None
        batch.rows[table] = _rows(batch, table, of_table, quick)
    return batch


def _rows(batch: Batch, table: str, groups: Sequence[PartitionMessages], quick: Read | None) -> Sequence[Row]:
    """Return the rows of a table: by column, unless one of its records is read one by one alone."""
    rows: list[Row] = []
    until: list[int] = []
    for number, group in enumerate(groups):
        left = quick.left(number) if quick else range(len(group.messages))
        until.append(_read_one_by_one(batch, group, left, rows))
        _tell_times(batch, group, until[-1])
    if quick is None:
        return rows
    block = quick.block(table, until)
    # Stored at once, or not at all: the position is read back from the rows.
    return sorted([*block, *rows], key=lambda made: made[:3]) if rows else block


def _read_one_by_one(batch: Batch, group: PartitionMessages, left: Iterable[int], rows: list[Row]) -> int:
    """Read some of the messages of a partition; return how many of all are in the batch."""
    for number in left:
        message = group.messages[number]
        place = Place(group.topic, group.partition, message.offset, message.timestamp)
        try:
            made = _row(place, message.value, batch)
        except codec.UnknownSchema as unknown:
            batch.stopped[group.topic, group.partition] = Stop(message.offset, str(unknown))
            return number
        if made is not None:
            rows.append(made)
    return len(group.messages)


def _tell_times(batch: Batch, group: PartitionMessages, until: int) -> None:
    if until:
        batch.oldest[group.topic, group.partition] = group.messages[0].timestamp
        batch.newest[group.topic, group.partition] = group.messages[until - 1].timestamp


def _row(place: Place, value: bytes | None, batch: Batch) -> Row | None:
    try:
        record, decoded = codec.decode(value or b"")
        if record == "erasure" and place.topic == USAGE_DETAILS:
            batch.erasures.append(erasure(place, decoded))
            return None
        made = row(place, record, decoded)
    except codec.UnknownSchema:
        raise
    except (codec.CodecError, UnicodeDecodeError, Misplaced) as error:
        batch.skipped[place.topic, "misplaced" if isinstance(error, Misplaced) else "unreadable"] += 1
        log.warning(
            "record_unreadable",
            extra={"topic": place.topic, "partition": place.partition, "offset": place.offset, "error": str(error)},
        )
        return None
    if made is None:
        batch.skipped[place.topic, "control"] += 1
    return made
