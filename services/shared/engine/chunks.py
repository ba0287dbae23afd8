"""
Many records delivered as one: chunks that pass through Faust as if each were a single record.

A plain Faust agent costs 60 to 100 us a record, most of it per delivery. Faust's documented `ConsumerScheduler`
setting decides how fetched records are handed on; this one hands on chunks of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar

import faust
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

_RECORD_BYTES = 200
"""What a record takes in memory besides its value: objects and a short key."""


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

    def __init__(self, tp: TP, records: Sequence[Any], start: int, end: int) -> None:
        """Take the records, and what they cover."""
        self.topic = tp.topic
        self.partition = tp.partition
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


_value_of = attrgetter("value")


def _size(records: Sequence[Any]) -> int:
    try:
        values = sum(map(len, map(_value_of, records)))
    except TypeError:  # some have no value
        values = sum(len(record.value or b"") for record in records)
    return values + _RECORD_BYTES * len(records)


class ChunkScheduler(DefaultSchedulingStrategy):
    """Hand on what was fetched in chunks of bounded size, one partition after the other in turn."""

    size: ClassVar[int] = 2000
    """Records per chunk at most."""

    @classmethod
    def sized(cls, records: int) -> type[ChunkScheduler]:
        """Return a scheduler of another chunk size: Faust takes a class, not an object."""
        return type(cls.__name__, (cls,), {"size": records})

    def iterate(self, records: Mapping[TP, Sequence[Any]]) -> Iterator[tuple[TP, Any]]:
        """Yield (partition, chunk) pairs; the chunks of one partition cover its fetch without a hole."""
        size = self.size
        waiting = []
        for tp, fetched in records.items():
            if fetched:
                waiting.append((tp, fetched, 0))
            elif isinstance(fetched, Fetched):
                yield tp, Chunk(tp, (), fetched.start, fetched.end)
        while waiting:
            left = []
            for tp, fetched, i in waiting:
                part = fetched if len(fetched) <= size else fetched[i : i + size]
                more = i + size < len(fetched)
                start = getattr(fetched, "start", fetched[0].offset) if i == 0 else part[0].offset
                end = fetched[i + size].offset if more else getattr(fetched, "end", fetched[-1].offset + 1)
                yield tp, Chunk(tp, part, start, end)
                if more:
                    left.append((tp, fetched, i + size))
            waiting = left


class ChunkSchema(faust.Schema):  # type: ignore[type-arg]
    """Leave chunks as they are."""

    def loads_key(self, *_: Any, **__: Any) -> None:
        """Return no key: each record of the chunk has its own."""

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002 - Faust names its arguments
        """Return the chunk."""
        return message.value
