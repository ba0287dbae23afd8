"""What a flat reader accepts fastavro reads as the same value, and what fastavro writes a flat reader accepts."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import codec, flat, released

SCHEMA: Any = parse_schema({
    "type": "record",
    "name": "Flat",
    "fields": [
        {"name": "text", "type": "string"},
        {"name": "symbol", "type": {"type": "enum", "name": "Symbol", "symbols": ["A", "B", "C"]}},
        {"name": "number", "type": "long"},
        {"name": "other", "type": "long"},
        {"name": "truth", "type": "boolean"},
        {"name": "last", "type": "string"},
    ],
})  # fmt: skip
HEADER = b"\0\0\0\0\1"
LONGS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.fixed_dictionaries({
    "text": st.text(max_size=300), "symbol": st.sampled_from("ABC"), "number": LONGS, "other": LONGS,
    "truth": st.booleans(), "last": st.text(max_size=20),
})  # fmt: skip


def read(data: bytes) -> dict[str, Any]:
    made = flat.reader(SCHEMA)
    assert made is not None
    return made(data)


def written(value: dict[str, Any]) -> bytes:
    out = BytesIO()
    schemaless_writer(out, SCHEMA, value)
    return HEADER + out.getvalue()


def by_fastavro(data: bytes) -> object:
    body = BytesIO(data)
    body.seek(len(HEADER))
    return schemaless_reader(body, SCHEMA, None)


@given(value=VALUES)
@example({"text": "x" * 20_000, "symbol": "A", "number": 1_780_000_000_000, "other": -1, "truth": True, "last": ""})
@example({"text": "x" * 63, "symbol": "A", "number": -(2**63), "other": 2**63 - 1, "truth": False, "last": "x" * 64})
@example({"text": "x" * 8191, "symbol": "C", "number": 63, "other": 64, "truth": False, "last": "x" * 8192})
def test_every_value_comes_back(value: dict[str, Any]) -> None:
    assert read(written(value)) == value


@given(value=VALUES, at=st.floats(0, 1), by=st.binary(max_size=12), cut=st.integers(0, 12))
def test_damaged_values_are_refused_or_read_as_fastavro_reads_them(
    value: dict[str, Any], at: float, by: bytes, cut: int
) -> None:
    good = written(value)
    place = len(HEADER) + int(at * (len(good) - len(HEADER)))
    data = good[:place] + by + good[place + cut :]
    try:
        found = read(data)
    except (ValueError, IndexError):
        return
    assert found == by_fastavro(data)


@given(body=st.binary(max_size=80))
@example(b"\xff" * 80)
@example(b"\x01")
@example(b"")
def test_any_bytes_are_refused_or_read_as_fastavro_reads_them(body: bytes) -> None:
    try:
        found = read(HEADER + body)
    except (ValueError, IndexError):
        return
    assert found == by_fastavro(HEADER + body)


def test_times_whose_upper_bytes_were_read_before_come_back_and_few_of_those_are_kept() -> None:
    value: dict[str, Any] = {"text": "a", "symbol": "A", "number": 0, "other": 0, "truth": True, "last": ""}
    begin = 1_780_000_000_000
    for at in [*range(begin, begin + 400, 7), *range(begin, begin + 400_000_000, 1_000_003), begin, begin + 1]:
        timed = {**value, "number": at, "other": -at}
        assert read(written(timed)) == timed
        assert len(flat._HIGH) <= flat._REMEMBERED


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"\x01", "negative length"),
        (b"\x00\x06", "no such symbol"),
        (b"\x00\x00\x00\x00\x01\x04a", "before its length"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        read(HEADER + body)


def test_every_truncation_is_refused() -> None:
    """By fastavro alone a last string that ends early passes for a shorter one."""
    good = written({"text": "ab", "symbol": "B", "number": 2**40, "other": 7, "truth": True, "last": "cde"})
    for end in range(len(HEADER), len(good)):
        with pytest.raises((ValueError, IndexError)):
            read(good[:end])


def test_events_and_ticks_are_flat_and_records_with_more_in_them_are_not() -> None:
    assert {record for record in released.RECORDS if codec._FLAT[released.LATEST[record].path]} >= {
        "usage_event",
        "tick",
    }
    assert flat.reader({"fields": [{"name": "many", "type": {"type": "array", "items": "string"}}]}) is None
    assert flat.reader({"fields": [{"name": "maybe", "type": ["null", "string"]}]}) is None
    assert (
        flat.reader({"fields": [{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}) is None
    )


def test_what_a_later_version_has_at_its_end_is_added() -> None:
    fields = [{"name": "at", "type": "long"}]
    read = flat.reader({"fields": fields}, {"by": "", "urgent": False, "tries": 3})

    assert read is not None
    assert read(b"\x00\x00\x00\x00\x01\x0a") == {"at": 5, "by": "", "urgent": False, "tries": 3}
    with pytest.raises(ValueError, match="left over"):
        read(b"\x00\x00\x00\x00\x01\x0a\x00")
