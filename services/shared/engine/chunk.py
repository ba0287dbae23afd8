"""Records of one partition that travel as one, and the part of the log that they cover."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

_RECORD_BYTES = 200
"""What a record takes in memory besides its value: objects and a short key."""


_value_of = attrgetter("value")


def _size(records: Sequence[Any]) -> int:
    try:
        values = sum(map(len, map(_value_of, records)))
    except TypeError:  # some have no value
        values = sum(len(record.value or b"") for record in records)
    return values + _RECORD_BYTES * len(records)


class Fetched(list[Any]):
    """
    The records of one partition out of one fetch, and the part of the log that they cover.

    There may be none: a fetch of markers and aborted records alone covers them too.
    """

    __slots__ = ("end", "start")

    def __init__(self, records: Sequence[Any], start: int, end: int) -> None:
        """Cover offsets from `start` up to but not `end`; those that are not among the records hold none to read."""
        super().__init__(records)
        self.start = start
        self.end = end


class Chunk:
    """
    Records of one partition in offset order, or none, posing as one record at the last offset that is covered.

    It covers the log from `start` up to but not `end`: a lane that takes chunks whose ends meet has missed nothing,
    even where offsets have holes.
    """

    __slots__ = (
        "checksum", "end", "headers", "key", "offset", "partition", "records", "serialized_key_size",
        "serialized_value_size", "size", "start", "timestamp", "timestamp_type", "topic",
    )  # fmt: skip

    def __init__(self, tp: tuple[str, int], records: Sequence[Any], start: int, end: int) -> None:
        self.topic, self.partition = tp
        self.records = records
        self.start = start
        self.end = end
        self.offset = end - 1
        self.timestamp: int = records[-1].timestamp if records else 0
        self.timestamp_type = records[-1].timestamp_type if records else 0
        self.size = _size(records)
        """Bytes of the values, and an allowance for the rest of each record."""
        self.headers: Any = ()
        self.key = None
        self.checksum = None
        self.serialized_key_size = 0
        self.serialized_value_size = 0

    @property
    def value(self) -> Chunk:
        """The chunk itself: what Faust takes for the record's value reaches the agent untouched."""
        return self
