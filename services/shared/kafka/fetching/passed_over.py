# ruff: noqa: SLF001 - a private seam, held by tests that damage a real log
"""
Batches of a compacted topic that a broker passes over without a word, with all that follows them in their file.

Holes are ordinary there, so that one shows says nothing. But an answer that begins behind what was asked for says that the broker has
found nothing before. Where it finds something when it is asked for a later offset of that hole, it has passed over a batch
that it cannot read: it looks for an offset from the nearest entry of its index on, which may lie behind the damage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaTimeoutError, NotLeaderForPartitionError

from services.shared.kafka.clients import consumer
from services.shared.kafka.fetching.answers import heed_fetches
from services.shared.kafka.fetching.holes import Holes
from services.shared.kafka.settings import KafkaSettings

_ANSWER_WITHIN_S = 30.0
"""A question for one batch; a partition without a leader has nobody who could answer."""


class Beginnings(Holes):
    """Where the answers to fetches begin."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[tuple[TopicPartition, int], int] = {}
        """By partition and the offset that was asked for."""
        self.heard = asyncio.Event()
        """Set with each answer."""

    def begins(self, tp: TopicPartition, asked: int, begins: int) -> None:
        """Note an answer."""
        self.found[tp, asked] = begins
        self.heard.set()

    def jumps(self) -> list[tuple[TopicPartition, int, int]]:
        """Return the holes before answers, of more than one offset: asked for, and found."""
        return [(tp, asked, begins) for (tp, asked), begins in self.found.items() if begins > asked + 1]


def note_beginnings(client: AIOKafkaConsumer) -> Beginnings:
    """Have a started consumer note where the answers to its fetches begin, from the next one on."""
    heed_fetches(client._fetcher)
    noted = Beginnings()
    client._fetcher._client.holes = client._fetcher._records.holes = noted
    return noted


async def refuse_passed_over(kafka: KafkaSettings, read: Beginnings) -> None:
    """
    Ask for what may be in the holes before the answers that a consumer got.

    Each hole costs a few requests, each of one batch. What lies between damage and the next entry of the index does not show.

    Raises:
        CorruptRecordException: there is something.
        NotLeaderForPartitionError: there is, and the broker that is asked now does not pass over it. Each compacts in its own time, so
            what was read may be whole or not: read it again.
        KafkaTimeoutError: nobody answers.
    """
    jumps = read.jumps()
    if not jumps:
        return
    client = consumer(kafka, max_partition_fetch_bytes=1, fetch_max_bytes=1)  # a broker gives one batch at least
    await client.start()
    try:
        noted = note_beginnings(client)
        client.assign([tp for tp, _, _ in jumps])
        client.pause(*client.assignment())
        for tp, asked, begins in jumps:
            for offset in _later(asked, begins):
                if (found := await _ask(client, noted, tp, offset)) >= begins:
                    continue
                if await _ask(client, noted, tp, asked) <= found:
                    raise NotLeaderForPartitionError(f"another broker leads {tp} than when it was read")
                told = f"offsets {asked} to {begins - 1} are not all given, though there are some"
                raise CorruptRecordException(f"{told} - {tp}")
    finally:
        await client.stop()


async def _ask(client: AIOKafkaConsumer, noted: Beginnings, tp: TopicPartition, offset: int) -> int:
    """Return where the answer to a fetch begins."""
    noted.found.clear()
    client.seek(tp, offset)
    client.resume(tp)
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            while (tp, offset) not in noted.found:
                noted.heard.clear()
                await noted.heard.wait()
    except TimeoutError as error:
        raise KafkaTimeoutError(
            f"nobody gives offset {offset} of {tp}, or what follows it: it may have no leader"
        ) from error
    client.pause(tp)
    return noted.found[tp, offset]


def _later(asked: int, begins: int) -> Iterator[int]:
    """Go back from where an answer begins in longer and longer steps: what is last in a file may have been compacted away."""
    back = 1
    while (offset := begins - back) > asked:
        yield offset
        back *= 16
