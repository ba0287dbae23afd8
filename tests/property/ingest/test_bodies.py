"""The two ways to split a body agree, and what was compressed comes back, wherever the slices fall."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Generator
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.body import split_batch, split_single
from services.ingest.domain.compression import decompress
from services.ingest.domain.limits import Limits
from services.ingest.domain.scan import Scan, TooMuch
from services.shared.errors import Rejected
from tests.support.examples import examples

T = TypeVar("T")
texts = st.text(st.sampled_from('a"\\[]{},: \n\t\u00fc'), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def steps(generator: Generator[int | None, None, T]) -> tuple[T, int]:
    """Return what a generator returns, and in how many steps."""
    count = 0
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value, count
        count += 1


@given(st.lists(values, max_size=6), st.dictionaries(texts, values, max_size=3), st.sampled_from([None, 1]))
@settings(max_examples=examples(120), deadline=None)
def test_the_scan_finds_the_events_that_the_parser_finds(events: list[Any], more: dict[str, Any], indent: Any) -> None:
    more.pop("batch", None)
    good = json.dumps({"x": 1, "batch": events, **more}, indent=indent).encode()

    parsed, _ = steps(split_batch(good, Limits()))
    members, _ = steps(Scan(good.strip()).members(100, {b'"batch"': 2_500}))

    assert members is not None
    assert members[b'"batch"'] == parsed.events
    assert [json.loads(event) for event in parsed.events] == events


@given(st.lists(values, max_size=6), st.data())
@settings(max_examples=examples(120), deadline=None)
def test_a_body_that_is_cut_anywhere_ends_too_early(events: list[Any], data: st.DataObject) -> None:
    whole = json.dumps({"x": -1.5e-9, "batch": events, "y": [True, "\\"]}).encode()
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]

    for split in (split_batch(cut, Limits()), split_single(cut)):
        with pytest.raises(Rejected) as refused:
            steps(split)
        assert refused.value.code == "truncated_body"


@given(st.binary(max_size=300))
@settings(max_examples=examples(200), deadline=None)
def test_the_scan_ends_on_anything(rubbish: bytes) -> None:
    for start in (b"{", b'{"batch":[', b'{"batch":[{"a":['):
        try:
            steps(Scan((start + rubbish).strip()).members(50, {b'"batch"': 20}))
        except TooMuch:
            continue


@given(
    st.lists(st.tuples(st.integers(0, 70_000), st.integers(0, 9)), min_size=1, max_size=6),
    st.sampled_from([b"", b"\0\0\0", b"padding"]),
)
@settings(max_examples=examples(24), deadline=None)
def test_members_come_back_whole(parts: list[tuple[int, int]], padding: bytes) -> None:
    pieces = [bytes((n * size * 31) % 251 for n in range(size)) for size, _ in parts]
    body = b"".join(gzip.compress(piece, level) for piece, (_, level) in zip(pieces, parts, strict=True)) + padding
    whole = b"".join(pieces)

    assert steps(decompress(body, "", 1 << 20))[0] == whole
    with pytest.raises(Rejected) as refused:
        steps(decompress(gzip.compress(whole + b"x"), "", len(whole)))
    assert refused.value.code == "decompressed_too_large"
    with pytest.raises(Rejected) as cut:
        steps(decompress(body[: len(body) - len(padding) - 9], "gzip", 1 << 20))
    assert cut.value.code in {"truncated_body", "malformed_body"}


@pytest.mark.parametrize("wbits", [15, -15])
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 700_000])
def test_the_end_of_a_slice_is_no_end(wbits: int, size: int) -> None:
    packer = zlib.compressobj(6, zlib.DEFLATED, wbits)
    body = packer.compress(b" " * size) + packer.flush()

    assert steps(decompress(body, "deflate", 1 << 20))[0] == b" " * size


@pytest.mark.parametrize(
    ("body", "most"),
    [
        (b'{"batch":[' + b"{}," * 1_390_000 + b"1]}", 20),
        (b'{"batch":[' + b"," * 4_180_000 + b"]}", 20),
        (b'{"batch":[NaN,[' + b"[]," * 1_390_000 + b"1]]}", 200),
        (b'{"batch":' + b"[" * 4_180_000, 200),
        (b'{"batch":[NaN,[' + b'"",' * 1_390_000 + b"1]]}", 200),
    ],
    ids=["empty events", "commas", "lists", "nesting", "texts"],
)
def test_the_number_of_slices_of_a_scan_is_bounded(body: bytes, most: int) -> None:
    count = 0
    try:
        for _ in split_batch(body, Limits()):
            count += 1
    except Rejected:
        pass
    assert count <= most
