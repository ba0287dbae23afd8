"""Chunks: bounded, in turn, and covering the log without a hole."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from faust.types import TP

from services.shared.engine.chunk import Fetched
from services.shared.engine.faust_seam.chunks import ChunkScheduler

P0, P1 = TP("events", 0), TP("events", 1)


def records(*offsets: int) -> list[Any]:
    return [SimpleNamespace(offset=o, timestamp=o, timestamp_type=1, value=b"v") for o in offsets]


def test_partitions_take_turns_in_chunks_of_bounded_size() -> None:
    chunks = list(ChunkScheduler.sized(2)().iterate({P0: records(0, 1, 2, 3, 4), P1: records(7)}))

    assert [(tp.partition, [r.offset for r in c.records]) for tp, c in chunks] == [
        (0, [0, 1]), (1, [7]), (0, [2, 3]), (0, [4]),
    ]  # fmt: skip


def test_the_chunks_of_a_fetch_meet_and_cover_all_of_it_whatever_its_holes() -> None:
    fetched = Fetched(records(3, 4, 9, 10, 15), start=1, end=17)

    covers = [(c.start, c.end) for _, c in ChunkScheduler.sized(2)().iterate({P0: fetched})]

    assert covers == [(1, 9), (9, 15), (15, 17)]


def test_a_chunk_poses_as_the_record_that_is_its_last() -> None:
    [(_, chunk)] = ChunkScheduler.sized(10)().iterate({P0: records(3, 4)})

    assert (chunk.topic, chunk.partition, chunk.offset, chunk.timestamp) == ("events", 0, 4, 4)
    assert chunk.value is chunk


def test_nothing_fetched_gives_no_chunk() -> None:
    assert list(ChunkScheduler.sized(5)().iterate({P0: []})) == []


def test_a_fetch_that_holds_no_record_gives_a_chunk_that_covers_it() -> None:
    [(_, chunk)] = ChunkScheduler.sized(5)().iterate({P0: Fetched([], start=3, end=9)})

    assert (list(chunk.records), chunk.start, chunk.end, chunk.offset) == ([], 3, 9, 8)


def test_a_chunk_knows_its_bytes_also_of_records_without_a_value() -> None:
    found = [*records(3, 4), SimpleNamespace(offset=5, timestamp=1, timestamp_type=1, value=None)]
    [(_, chunk)] = ChunkScheduler.sized(10)().iterate({P0: found})

    assert chunk.size == 2 + 3 * 200
