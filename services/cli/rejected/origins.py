"""The records of the log that lanes dead-lettered, to be appended again as they are."""

from __future__ import annotations

from contextlib import AsyncExitStack
from hashlib import sha256
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from services.cli.rejected.erased import Erased
from services.cli.rejected.letters import Letter
from services.shared.kafka.reading import reader
from services.shared.kafka.settings import KafkaSettings

REPLAYED = "tidemark-replayed"
"""Header of a record that was appended again: the place of its dead letter."""
_WITHIN_MS = 10_000


class Origins:
    """Reads records at their places and appends them again. Use as an async context manager, from one task."""

    def __init__(self, kafka: KafkaSettings, producer: AIOKafkaProducer, erased: Erased) -> None:
        self._kafka = kafka
        self._producer = producer
        self._erased = erased
        self._open = AsyncExitStack()
        self._readers: dict[str, AIOKafkaConsumer] = {}

    async def __aenter__(self) -> Self:
        """Return itself; topics are opened on demand."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._open.aclose()

    async def append_again(self, letter: Letter) -> str:
        """
        Append the record of a letter to its own partition, under its key; return why that could not be done, or nothing.

        The record is taken from the log, which has all of it: a dead letter may have only the beginning.
        """
        topic, partition, offset = letter.value["origin"].split("/")
        record = await self._record(topic, int(partition), int(offset))
        if record is None:
            return "retention has deleted the record that it names"
        if sha256(record.value or b"").hexdigest() != letter.value["original_sha256"]:
            return "the record at its place is another one: its topic was made anew"
        if why_not := self._erased.why_not_record(record.value, record.key, letter.at):
            return why_not
        header = (REPLAYED, letter.place.encode())
        await self._producer.send_and_wait(
            self._kafka.scoped(topic), record.value, record.key, record.partition, headers=[*record.headers, header]
        )
        return ""

    async def _record(self, topic: str, partition: int, offset: int) -> ConsumerRecord[bytes, bytes] | None:
        if topic not in self._readers:
            opened, partitions = await self._open.enter_async_context(reader(self._kafka, topic, max_poll_records=1))
            opened.pause(*partitions)
            self._readers[topic] = opened
        client = self._readers[topic]
        place = TopicPartition(self._kafka.scoped(topic), partition)
        if place not in client.assignment():
            return None
        first = (await client.beginning_offsets([place]))[place]
        end = (await client.end_offsets([place]))[place]
        if not first <= offset < end:
            return None
        client.seek(place, offset)
        client.resume(place)
        try:
            found = await client.getmany(place, timeout_ms=_WITHIN_MS, max_records=1)
        finally:
            client.pause(place)
        records = found.get(place, [])
        return records[0] if records and records[0].offset == offset else None
