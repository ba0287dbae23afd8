"""Chunks that wait for a lane: when the partition is taken out of the fetches, and when it is fetched again."""

from __future__ import annotations

import pytest

from services.shared.engine.lane.queue import ChunkQueue
from services.shared.engine.settings import EngineSettings
from tests.unit.engine.lane_host import chunk


class Held:
    """A queue of at most so many records, or 65,536 bytes, and what it has asked of the fetches."""

    def __init__(self, records: int) -> None:
        self.asked: list[bool] = []
        self.queue = ChunkQueue(EngineSettings(queue_records=records, queue_bytes=1 << 16), self.asked.append)

    def put(self, *values: str) -> None:
        self.queue.put(chunk(0, *values))

    def asked_after_each_take(self) -> list[list[bool]]:
        """Take all that waits; return what was asked by then, after each chunk."""
        found = []
        while len(self.queue):
            self.queue.take()
            found.append(self.asked.copy())
        return found


@pytest.mark.parametrize(
    ("records", "chunks"),
    [
        (8, (["1"] * 4, ["1"], ["1"] * 3)),  # eight records, half of them, and less
        (1000, (["1" * 32_568], ["1" * 2_800], ["1" * 29_568])),  # each with 200 bytes more: 65,536 in all
    ],
)
def test_a_full_queue_is_fetched_again_once_it_is_less_than_half_full(
    records: int, chunks: tuple[list[str], ...]
) -> None:
    held = Held(records)
    for values in chunks[:-1]:
        held.put(*values)
    assert held.asked == []

    held.put(*chunks[-1])
    assert held.asked == [True]

    assert held.asked_after_each_take() == [[True], [True, False], [True, False]]
    assert (held.queue.records, held.queue.bytes) == (0, 0)


def test_an_empty_queue_is_fetched_again_however_little_it_takes() -> None:
    held = Held(1)
    held.put("1")
    held.put("1")

    assert held.asked_after_each_take() == [[True, True], [True, True, False]]


def test_a_queue_that_was_never_full_asks_nothing() -> None:
    held = Held(8)
    held.put("1")
    held.queue.take()
    held.put("1")
    held.queue.clear()

    assert held.asked == []
    assert (len(held.queue), held.queue.records, held.queue.bytes) == (0, 0, 0)


def test_a_full_queue_that_is_cleared_is_fetched_again_and_counts_anew() -> None:
    held = Held(2)
    held.put("1", "1")

    held.queue.clear()
    assert held.asked == [True, False]

    held.put("1")
    held.queue.take()
    assert held.asked == [True, False]
    held.put("1", "1")
    assert held.asked == [True, False, True]


def test_chunks_are_taken_in_the_order_in_which_they_came() -> None:
    held, given = Held(8), [chunk(0, "1"), chunk(1, "1")]
    for each in given:
        held.queue.put(each)

    assert [held.queue.take(), held.queue.take()] == given


def test_reading_has_come_to_the_offsets_that_a_chunk_covers_and_to_its_end() -> None:
    held = Held(8)
    held.queue.put(chunk(3, "1", "1"))
    held.queue.put(chunk(9, "1"))

    assert [offset for offset in range(12) if held.queue.reaches(offset)] == [3, 4, 5, 9, 10]
