"""One batch: records of the log as rows by table, with what is to be known about them once they are stored."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas import codec
from schemas.topics import ACCOUNT_HEALTH, USAGE_DETAILS
from services.shared.kafka.partition import TopicPartition
from services.warehouse.domain.erasing import Erasure, erasure
from services.warehouse.domain.rows import TABLE_OF_TOPIC, Misplaced, Place, Row, forgotten, row

log = logging.getLogger(__name__)


class Stop(NamedTuple):
    """The offset of a record that this version does not know, and why."""

    offset: int
    detail: str


@dataclass(slots=True)
class Batch:
    """Rows of one batch by table, in offset order within each partition."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    erasures: list[Erasure] = field(default_factory=list)
    """Orders to erase people and accounts."""
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many records made no row, by topic and reason: control, unreadable or misplaced."""
    oldest: dict[str, int] = field(default_factory=dict)
    """The first append time of each topic, milliseconds."""
    newest: dict[TopicPartition, int] = field(default_factory=dict)
    """The last append time of each partition, milliseconds."""
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    """One after the last offset that made a row."""
    stopped: dict[TopicPartition, Stop] = field(default_factory=dict)
    """Partitions that hold a record of a newer version, of which nothing from there on is in the batch."""


def build(messages: Mapping[TopicPartition, Iterable[Any]]) -> Batch:
    """
    Decode consumed messages; their `offset`, `timestamp`, `key` and `value` are used.

    A record of account-health without a value says that the account in its key was forgotten. A record that cannot be
    read, or belongs on another topic, is skipped, counted and named in the log: the scorer puts it on the dead letters.
    One in a schema that is not known stops its partition: a newer version can store it.
    """
    batch = Batch()
    for (topic, partition), group in messages.items():
        rows = batch.rows.setdefault(TABLE_OF_TOPIC[topic], [])
        for message in group:
            place = Place(topic, partition, message.offset, message.timestamp)
            try:
                made = _row(place, message.key, message.value, batch)
            except codec.UnknownSchema as unknown:
                batch.stopped[topic, partition] = Stop(message.offset, str(unknown))
                break
            batch.oldest.setdefault(topic, message.timestamp)
            batch.newest[topic, partition] = message.timestamp
            if made is not None:
                rows.append(made)
                batch.ends[topic, partition] = message.offset + 1
    return batch


def _row(place: Place, key: bytes | None, value: bytes | None, batch: Batch) -> Row | None:
    try:
        if value is None and key and place.topic == ACCOUNT_HEALTH:
            return forgotten(place, key.decode())
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
