"""What a flat writer takes it writes as fastavro does; what it does not take is left to fastavro."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from fastavro import schemaless_writer
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import codec, flat_writer, formats, released

FLAT = [file for file in released.FILES if codec._FLAT_WRITERS[file.path] is not None]
LONGS = st.integers(-(2**63), 2**63 - 1)
OF_KIND: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=200), "bytes": st.binary(max_size=200), "long": LONGS, "boolean": st.booleans(),
}  # fmt: skip
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=9), st.just("\ud800"), st.text(max_size=9),
    st.just(2**63), st.just(-(2**63) - 1), st.just([]), st.just({}), st.just("UNKNOWN"),
)  # fmt: skip
EVENT_GROUPS = (
    ("event_id",), ("id_source", "source", "environment"), ("account", "user"), ("kind", "name", "use"),
    ("occurred_at", "received_at", "skew_ms", "epoch"), ("historical", "properties", "identified", "internal"),
    ("via", "forwards", "authority", "actor", "accepted_by"),
)  # fmt: skip


def schema_of(file: released.SchemaFile) -> Any:
    return codec._PARSED[file.path]


def by_fastavro(file: released.SchemaFile, value: dict[str, Any]) -> bytes:
    out = BytesIO()
    schemaless_writer(out, schema_of(file), value)
    return out.getvalue()


@st.composite
def values(draw: st.DrawFn, file: released.SchemaFile) -> dict[str, Any]:
    """Draw a value that the schema accepts."""
    return {
        field["name"]: draw(
            st.sampled_from(field["type"]["symbols"]) if isinstance(field["type"], dict) else OF_KIND[field["type"]]
        )
        for field in schema_of(file)["fields"]
    }


@st.composite
def records(draw: st.DrawFn) -> tuple[released.SchemaFile, dict[str, Any]]:
    """Draw a version of a flat record, and a value of it."""
    file = draw(st.sampled_from(FLAT))
    return file, draw(values(file))


@given(record=records())
def test_every_value_of_every_version_is_written_as_fastavro_writes_it(
    record: tuple[released.SchemaFile, dict[str, Any]],
) -> None:
    file, value = record
    write = codec._FLAT_WRITERS[file.path]

    assert write is not None
    assert write(value) == by_fastavro(file, value)


@given(record=records(), name=st.integers(0, 30), wrong=ANYTHING, missing=st.booleans())
def test_an_encoder_takes_and_refuses_what_fastavro_takes_and_refuses(
    record: tuple[released.SchemaFile, dict[str, Any]], name: int, wrong: Any, missing: bool
) -> None:
    file, value = record
    field = list(value)[name % len(value)]
    if missing:
        del value[field]
    else:
        value[field] = wrong
    encode = codec.encoder(file.record, file.version)
    try:
        expected = by_fastavro(file, value)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError):
        with pytest.raises(codec.CodecError):
            encode(value)
    else:
        assert encode(value)[5:] == expected


@given(number=LONGS)
@example(63)
@example(-64)
@example(8191)
@example(8192)
@example(-8193)
@example(2**63 - 1)
@example(-(2**63))
def test_integers_are_written_as_fastavro_writes_them(number: int) -> None:
    out = BytesIO()
    schemaless_writer(out, "long", number)
    assert flat_writer.long(number) == out.getvalue()


@given(size=st.sampled_from([0, 63, 64, 8191, 8192, 1_048_576]), sign=st.sampled_from(["x", "é"]))
def test_strings_of_any_length_are_written_as_fastavro_writes_them(size: int, sign: str) -> None:
    out = BytesIO()
    schemaless_writer(out, "string", sign * size)
    assert flat_writer.text(sign * size) == out.getvalue()


@contextmanager
def at_level(level: int) -> Iterator[None]:
    before = codec.level()
    codec.write_level(level)
    try:
        yield
    finally:
        codec.write_level(before)


@pytest.mark.parametrize("level", range(1, formats.NEWEST + 1))
@given(value=values(next(file for file in FLAT if file.path == "usage_event/v2.avsc")))
def test_the_parts_of_a_record_are_together_the_record(level: int, value: dict[str, Any]) -> None:
    with at_level(level):
        parts = codec.parts("usage_event", *EVENT_GROUPS)
        together = codec.prefix("usage_event") + b"".join(part(value) for part in parts)

        assert together == codec.encoder("usage_event")(value)


def test_parts_have_to_be_the_fields_in_their_order() -> None:
    with pytest.raises(codec.CodecError, match="in this order"):
        codec.parts("usage_event", ("event_id",), ("account", "user"))


def test_records_with_more_in_them_are_left_to_fastavro() -> None:
    assert codec._FLAT_WRITERS[released.LATEST["account_health"].path] is None
    with pytest.raises(codec.CodecError, match="not written in parts"):
        codec.parts("fleet", *([field["name"]] for field in schema_of(released.LATEST["fleet"])["fields"]))
