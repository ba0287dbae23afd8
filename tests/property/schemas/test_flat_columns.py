"""What is read by column is what a flat reader reads of each value, whatever stands before and after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import flat
from schemas.flat_columns import HEADER_BYTES, PADDING, Symbols, Texts
from schemas.flat_columns import read as read_columns
from tests.property.schemas.test_flat import HEADER, SCHEMA, VALUES, written

READ = flat.reader(SCHEMA)
GOOD = written({"text": "ab", "symbol": "B", "number": 1_780_000_000_000, "other": 7, "truth": True, "last": "cd"})


def one_by_one(data: bytes) -> dict[str, Any] | None:
    assert READ is not None
    try:
        return READ(data)
    except (ValueError, IndexError):
        return None


def by_column(values: list[bytes]) -> list[dict[str, Any] | None]:
    ends = np.cumsum([len(value) for value in values], dtype=np.int64)
    starts = ends - np.array([len(value) for value in values], np.int64)
    data = np.frombuffer(b"".join((*values, PADDING)), np.uint8)
    fields, good = read_columns(SCHEMA, data, starts, ends)

    def value(field: Any, lane: int) -> Any:
        if isinstance(field, Texts):
            return data[field.starts[lane] : field.starts[lane] + field.lengths[lane]].tobytes().decode()
        return field.symbols[field.numbers[lane]] if isinstance(field, Symbols) else field[lane].item()

    return [
        {name: value(field, lane) for name, field in fields.items()} if good[lane] else None
        for lane in range(len(values))
    ]


@given(values=st.lists(VALUES, max_size=12))
@example([{"text": "x" * 20_000, "symbol": "A", "number": 1_780_000_000_000, "other": -1, "truth": True, "last": ""}])
@example([{"text": "x" * 63, "symbol": "A", "number": -(2**63), "other": 2**63 - 1, "truth": False, "last": "é" * 64}])
@example([{"text": "x" * 8191, "symbol": "C", "number": 63, "other": 64, "truth": False, "last": "x" * 8192}])
@example([{"text": "\0", "symbol": "C", "number": 2**41, "other": 2**35, "truth": False, "last": "🙂"}] * 3)
def test_every_value_comes_back(values: list[dict[str, Any]]) -> None:
    assert by_column([written(value) for value in values]) == values


DAMAGED = st.builds(
    lambda value, at, by, cut: (good := written(value))[: (place := 5 + int(at * (len(good) - 5)))] + by + good[place + cut :],
    VALUES, st.floats(0, 1), st.binary(max_size=12), st.integers(0, 12),
)  # fmt: skip


@given(values=st.lists(DAMAGED | st.binary(max_size=80).map(lambda body: HEADER + body), max_size=8))
@example([GOOD + GOOD, GOOD[:-1]])
@example([HEADER + b"\xff" * 80, HEADER, HEADER + b"\x01"])
@example([HEADER + b"\x02\xff\x00\x00\x00\x00\x00"])
@example([HEADER + b"\x02\xc3\x00\x00\x00\x00\x02\xa9"])
def test_damage_is_refused_or_read_as_one_by_one_and_reaches_no_neighbour(values: list[bytes]) -> None:
    among = [part for value in values for part in (value, GOOD)]

    found = by_column(among)

    assert found[1::2] == [one_by_one(GOOD)] * len(values)
    for value, each in zip(values, found[::2], strict=True):
        assert each is None or each == one_by_one(value)


def test_every_truncation_is_refused_and_nothing_is_taken_from_what_follows() -> None:
    cut = [GOOD[:end] for end in range(HEADER_BYTES, len(GOOD))]

    assert by_column([part for value in cut for part in (value, GOOD)]) == [None, one_by_one(GOOD)] * len(cut)
