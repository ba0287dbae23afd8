"""
Batches that a broker passes over without a word.

Where the length in the header of a batch is damaged and too large, the batch ends behind its file, and the broker takes its beginning
for the end of the file. It goes on with the next file, or gives nothing for ever. In a topic that is not compacted every
offset is in a batch, so both show.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException

_NOTHING_FOR_S = 60.0
_NOTHING_IN = 20
"""
So long, and in so many answers, nothing has to come. What is on the broker's disk is in the first answer that it could be in. But a
broker that fetches old records from remote storage answers with nothing, and no error, where that takes longer than
remote.fetch.max.wait.ms, or is more than its quota allows.
"""


class Holes:
    """What is missing in some topics, none of which is compacted."""

    def __init__(self, topics: Collection[str] = ()) -> None:
        """Take their full names."""
        self.topics = topics
        self._empty: dict[TopicPartition, tuple[int, float, int]] = {}
        """Where nothing came though there is something, since when, by the monotonic clock, and how many answers ago."""

    def refuse(self, tp: TopicPartition, expected: int, begins: int) -> None:
        """
        Compare where a batch begins with where the one before it ended, or with what was asked for.

        Raises:
            CorruptRecordException: it begins later.
        """
        if begins > expected and tp.topic in self.topics:
            raise CorruptRecordException(f"offsets {expected} to {begins - 1} are not given, those behind them are")

    def begins(self, tp: TopicPartition, asked: int, begins: int) -> None:
        """Take note of where an answer begins."""

    def silent(self, request: Any, answer: Any) -> list[TopicPartition]:
        """
        Return the partitions of which nothing has come for a minute, though there is something and it was asked for again and again.

        Of a request's partitions, a broker gives the first that has any records at least one whole batch; those behind it may be
        empty because the answer is full.
        """
        given = {(topic, part[0]): part for topic, parts in answer.topics for part in parts}
        found, now = [], time.monotonic()
        for topic, parts in request.topics:
            for partition, offset, _ in parts:
                _, code, high_water, last_stable, *rest = given.get((topic, partition), (partition, -1, 0, 0, b""))
                tp, end = TopicPartition(topic, partition), high_water if last_stable < 0 else last_stable
                if code or rest[-1] or end <= offset or topic not in self.topics:
                    self._empty.pop(tp, None)
                else:
                    at, since, answers = self._empty.get(tp, (-1, now, 0))
                    if at != offset:
                        since, answers = now, 0
                    self._empty[tp] = offset, since, answers + 1
                    if answers + 1 >= _NOTHING_IN and now - since >= _NOTHING_FOR_S:
                        found.append(tp)
                if rest[-1]:
                    return found
        return found
