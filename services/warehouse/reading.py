"""Records of a batch read by column, where they can be; see `schemas.flat_columns`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from schemas import codec, flat_columns
from schemas.flat_columns import PADDING, Field, Flags, Symbols
from services.warehouse.domain.blocks import Block, chosen, spread
from services.warehouse.domain.rows import Row


class PartitionMessages(NamedTuple):
    """Messages of one partition, in offset order."""

    topic: str
    """Without the prefix of the deployment."""
    partition: int
    messages: Sequence[Any]


class Read:
    """The messages of some partitions, read as values of one record."""

    def __init__(self, record: str, groups: Sequence[PartitionMessages]) -> None:
        """Read what can be read by column."""
        self._groups = groups
        values = [message.value or b"" for group in groups for message in group.messages]
        self._data = np.frombuffer(b"".join((*values, PADDING)), np.uint8)
        self._ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), dtype=np.int64)
        self._starts = self._ends - np.diff(self._ends, prepend=0)
        self._borders = np.cumsum([0, *(len(group.messages) for group in groups)])
        self._good: Flags = np.zeros(len(values), np.bool_)
        self._fields: dict[str, Field] = {}
        for header, schema in codec.flat_schemas(record).items():
            self._read(header, schema)

    def _read(self, header: bytes, schema: Any) -> None:
        having = self._ends - self._starts >= len(header)
        for place, byte in enumerate(header):
            having &= self._data[self._starts + place] == byte
        lanes = np.flatnonzero(having)
        if len(lanes):
            fields, good = flat_columns.read(schema, self._data, self._starts[lanes], self._ends[lanes])
            self._good[lanes] = good
            for name, field in fields.items():
                self._fields[name] = spread(field, lanes, self._fields.get(name), len(self._ends))

    def left(self, number: int) -> list[int]:
        """Return which messages of a group could not be read."""
        first, last = self._borders[number : number + 2]
        left: list[int] = np.flatnonzero(~self._good[first:last]).tolist()
        return left

    def block(self, table: str, until: Sequence[int]) -> Sequence[Row]:
        """Return the rows of those that could be read, of each group from its beginning to an end."""
        wanted = self._good.copy()
        for first, last, end in zip(self._borders, self._borders[1:], until, strict=False):
            wanted[first + end : last] = False
        if not wanted.any():
            return ()
        messages = [message for group in self._groups for message in group.messages]
        sizes, topics = np.diff(self._borders), list(dict.fromkeys(group.topic for group in self._groups))
        numbers = np.array([topics.index(group.topic) for group in self._groups], np.uint8)
        place: dict[str, Field] = {
            "topic": Symbols(tuple(topics), np.repeat(numbers, sizes)),
            "partition": np.repeat([group.partition for group in self._groups], sizes),
            "offset": np.fromiter((message.offset for message in messages), np.int64, len(messages)),
            "appended_at": np.fromiter((message.timestamp for message in messages), np.int64, len(messages)),
        }
        return Block(table, self._data, {name: chosen(field, wanted) for name, field in (place | self._fields).items()})
