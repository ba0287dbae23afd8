"""
Rows by column: those of records that are stored as they are, without a Python object for each value.

A block is a sequence of the rows that `rows.row` makes of the same records, so whoever wants rows has them; whoever takes columns
saves most of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, overload

import numpy as np

from schemas.flat_columns import Bytes, Field, Flags, Integers, Symbols, Texts
from services.warehouse.domain.rows import EARLIEST_MS, LATEST_MS, Row, columns

RECORDS: Mapping[str, str] = {"events": "usage_event", "event_details": "event_details"}
"""By table, the record whose fields are its columns."""

_INSTANTS = ("occurred_at", "received_at")

Columns: TypeAlias = Mapping[str, Field]


class Block(Sequence[Row]):
    """Rows of one table, in offset order within each partition. Nobody changes what is in it."""

    def __init__(self, table: str, data: Bytes, fields: Columns) -> None:
        """Take the place on the log and the fields of the table's record, and the data that strings are in."""
        self.table = table
        self.data = data
        self.columns = {name: _limited(name, fields[name]) for name in columns(table)}

    def __len__(self) -> int:
        return len(self._numbers("offset"))

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return self._rows(np.arange(len(self))[index])
        return self._rows(np.array([range(len(self))[index]]))[0]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows(np.arange(len(self))))

    def latest(self, most: int) -> list[Row]:
        """Return the rows that Kafka took last, latest first; of the same time the last in the block."""
        times = self._numbers("appended_at")[::-1]
        return self._rows(len(times) - 1 - np.argsort(-times, kind="stable")[:most])

    def newer_than(self, milliseconds: int) -> bool:
        """Return whether Kafka took all of the rows later."""
        return bool((self._numbers("appended_at") > milliseconds).all())

    def _numbers(self, name: str) -> Integers:
        found: Integers = self.columns[name]  # type: ignore[assignment]
        return found

    def _rows(self, places: Integers) -> list[Row]:
        return list(zip(*(_values(self.data, column, places) for column in self.columns.values()), strict=True))


def chosen(field: Field, wanted: Integers | Flags) -> Field:
    """Return the values at some places, or those that are marked."""
    if isinstance(field, Texts):
        return Texts(field.starts[wanted], field.lengths[wanted])
    if isinstance(field, Symbols):
        return Symbols(field.symbols, field.numbers[wanted])
    return field[wanted]


def spread(field: Field, places: Integers, others: Field | None, size: int) -> Field:
    """Return a field of a size with values at some places, and those of another version of it at others."""
    if isinstance(field, Texts):
        starts, lengths = others if isinstance(others, Texts) else (None, None)
        return Texts(_spread(field.starts, places, starts, size), _spread(field.lengths, places, lengths, size))
    if isinstance(field, Symbols):
        numbers = others.numbers if isinstance(others, Symbols) else None
        return Symbols(field.symbols, _spread(field.numbers, places, numbers, size))
    found: Field = _spread(field, places, others, size)
    return found


def _spread(values: Any, places: Integers, others: Any, size: int) -> Any:
    if len(places) == size:
        return values
    found = np.zeros(size, values.dtype) if others is None else others
    found[places] = values
    return found


def _limited(name: str, field: Field) -> Field:
    """Return times that a DateTime64 can hold, as `rows.instant` does."""
    if name not in _INSTANTS:
        return field
    limited: Any = np.clip(field, EARLIEST_MS, LATEST_MS)  # type: ignore[arg-type]
    return limited  # type: ignore[no-any-return]


def _values(data: Bytes, field: Field, places: Integers) -> list[Any]:
    part = chosen(field, places)
    if isinstance(part, Texts):
        ends = part.starts + part.lengths
        return [
            data[start:end].tobytes().decode() for start, end in zip(part.starts.tolist(), ends.tolist(), strict=True)
        ]
    if isinstance(part, Symbols):
        return [part.symbols[number] for number in part.numbers.tolist()]
    values: list[Any] = part.tolist()
    return values
