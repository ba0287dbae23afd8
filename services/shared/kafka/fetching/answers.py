# ruff: noqa: SLF001 - a private seam, held by contract tests
"""
What brokers answer to fetches, heeded where aiokafka overlooks it.

aiokafka knows five answers: records, an offset out of range, no right to read, and the two of a leader that has moved. After
any other it asks the same broker again at once, a thousand times a second, until its metadata is five minutes old:

- a disk of the broker has failed (KAFKA_STORAGE_ERROR), or it has no replica any more: others are asked who leads, and the
  next fetch waits for a moment, as it does after every error;
- the broker itself finds a batch damaged (CORRUPT_MESSAGE): it raises, as one does whose checksum does not hold;
- the broker passes over a batch (`holes`): the same.

And what raises for a damaged batch names its partition: aiokafka names it only for a checksum.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import (
    CorruptRecordException,
    NoError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest

from services.shared.kafka.fetching.holes import Holes

log = logging.getLogger(__name__)

_KNOWN = frozenset({NoError.errno, OffsetOutOfRangeError.errno, TopicAuthorizationFailedError.errno})
"""What aiokafka acts on itself, without asking the same broker again at once."""
_ORDINARY = frozenset({NotLeaderForPartitionError.errno, UnknownTopicOrPartitionError.errno})
"""What happens whenever a leader moves, and is said by nobody."""


_OFFSET_BYTES = 8
"""A batch begins with its first offset."""


class Results(OrderedDict[TopicPartition, Any]):
    """A fetcher's results; a batch that is damaged, or missing, says of which partition it is."""

    holes = Holes()
    """What must not be missing."""

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        records = getattr(result, "_partition_records", None)
        if records is not None and not isinstance(records._records, _Batches):
            records._records = _Batches(tp, records, self.holes)
        super().__setitem__(tp, result)


class _Batches:
    """The batches of one fetch of a partition."""

    def __init__(self, tp: TopicPartition, read: PartitionRecords, holes: Holes) -> None:
        self._tp = tp
        self._read = read
        self._holes = holes
        self._batches = read._records
        self.has_next = self._batches.has_next

    def next_batch(self) -> Any:
        try:
            batch = self._batches.next_batch()
            self._holes.refuse(self._tp, self._read.next_fetch_offset, batch.base_offset)
            return batch
        except CorruptRecordException as error:
            raise CorruptRecordException(f"{error.args[0] if error.args else error} - {self._tp}") from error


class _Damaged:
    """Stands for a batch that the broker does not give."""

    def __init__(self, why: str) -> None:
        self._why = why

    def has_next(self) -> bool:
        return True

    def next_batch(self) -> Any:
        raise CorruptRecordException(self._why)


class _Client:
    """A fetcher's client that looks at what its fetches are answered."""

    def __init__(self, fetcher: Fetcher) -> None:
        self.holes = Holes()
        self.throttled_until = 0.0
        """Until when a broker makes it wait because of a quota, or did so last, by the monotonic clock."""
        self._fetcher = fetcher
        self._client = fetcher._client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        answer = await self._client.send(node_id, request, **options)
        if isinstance(request, FetchRequest):
            if throttle_ms := answer.throttle_time_ms:
                self.throttled_until = time.monotonic() + throttle_ms / 1000
            await self._heed(request, answer)
        return answer

    async def _heed(self, request: FetchRequest, answer: Any) -> None:
        asked = {(topic, partition): offset for topic, parts in request.topics for partition, offset, _ in parts}
        for topic, parts in answer.topics:
            for partition, *_, batches in parts:
                if batches:
                    begins = int.from_bytes(batches[:_OFFSET_BYTES], "big")
                    self.holes.begins(TopicPartition(topic, partition), asked[topic, partition], begins)
        wrong = {
            TopicPartition(topic, partition): code
            for topic, parts in answer.topics
            for partition, code, *_ in parts
            if code not in _KNOWN
        }
        for tp, code in wrong.items():
            if code not in _ORDINARY:
                where = {"topic": tp.topic, "partition": tp.partition}
                log.warning("fetch_refused", extra={**where, "error": for_code(code).__name__})
            if code == CorruptRecordException.errno:
                self._set_apart(tp, asked[tp], "the broker cannot read a batch")
        for tp in self.holes.silent(request, answer):
            self._set_apart(tp, asked[tp], "the broker gives nothing, though the partition goes on")
        if any(code != CorruptRecordException.errno for code in wrong.values()):
            self._client.force_metadata_update()
            await asyncio.sleep(self._fetcher._retry_backoff)

    def _set_apart(self, tp: TopicPartition, offset: int, why: str) -> None:
        """Give whoever polls what raises, in place of the records, and ask no more for them until it has."""
        fetcher = self._fetcher
        subscription = fetcher._subscriptions.subscription
        assignment = subscription.assignment if subscription is not None else None
        if assignment is None or tp not in assignment.tps:
            return
        state = assignment.state_value(tp)
        if not state.has_valid_position or state.position != offset:
            return  # what was asked for is not wanted any more
        records = PartitionRecords(tp, _Damaged(why), None, offset, None, None, True, fetcher._isolation_level)
        fetcher._records[tp] = FetchResult(
            tp, assignment=assignment, partition_records=records, backoff=fetcher._prefetch_backoff
        )
        for waiter in fetcher._fetch_waiters:
            fetcher._notify(waiter)


def heed_fetches(fetcher: Fetcher) -> None:
    """Have the fetcher of a started consumer heed what its fetches are answered, from the next one on."""
    if not isinstance(fetcher._client, _Client):
        fetcher._client = _Client(fetcher)
        fetcher._records = Results(fetcher._records)


def expect_whole(fetcher: Fetcher, topics: Collection[str]) -> None:
    """Have a fetcher that heeds its answers take it for damage where something is missing in topics, by their full names."""
    fetcher._client.holes = fetcher._records.holes = Holes(topics)
