"""The driver's hands on usage-events: control records onto every partition, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from schemas import codec
from schemas.topics import USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.backfill import missing_fleet
from services.shared.errors import TidemarkError
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import Offsets, by_partition, reader, record_of
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topics import full_name
from services.shared.units import DAY_MS

AGAIN = "tidemark-again"
"""Header of an event that a drive had put off: the offset of its first record."""
_tick = codec.encoder("tick")
_clock = codec.encoder("clock")


class NoFleet(TidemarkError):
    """The fleet record of a day did not come; the message says what to look at."""


class UsageLog:
    """
    Appends control records to all partitions at once, and follows the fleet records that answer them.

    Use as an async context manager; `follow` before `await_fleet`.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._topic = full_name(kafka, USAGE_EVENTS)
        self.producer: AIOKafkaProducer = producer(kafka, linger_ms=0)
        self.partitions: list[int] = []
        self._open = AsyncExitStack()
        self._consumer: AIOKafkaConsumer
        self._fleets: dict[tuple[int, int], set[int]] = {}
        self._news = asyncio.Condition()
        self._follower: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.producer.start()
        self._open.push_async_callback(self.producer.stop)
        # A short wait: partitions that have caught up must not hold back those that have not.
        opened = reader(self._kafka, USAGE_EVENTS, fetch_max_wait_ms=20)
        self._consumer, assigned = await self._open.enter_async_context(opened)
        self._consumer.pause(*assigned)
        self.partitions = [partition.partition for partition in assigned]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        if self._follower is not None:
            self._follower.cancel()
            # With what it ended, if it did, who waited for it has learned.
            await asyncio.gather(self._follower, return_exceptions=True)
        await self._open.aclose()

    async def tick(self, at_ms: int, epoch: int) -> None:
        """Append a tick to every partition; return once all have it."""
        await self._append(_tick({"at": at_ms, "epoch": epoch}))

    async def drive(self, at_ms: int, epoch: int) -> Offsets:
        """Open a driven epoch on every partition; return where that stands. Whether a lane takes it is another matter."""
        return await self._append(_clock({"mode": "DRIVEN", "epoch": epoch, "at": at_ms}))

    async def hand_over(self, at_ms: int) -> Offsets:
        """Give time back to the live clock on every partition; return where that stands."""
        return await self._append(_clock({"mode": "LIVE", "epoch": 0, "at": at_ms}))

    async def append_again(self, records: Iterable[ConsumerRecord[bytes, bytes]]) -> None:
        """Append records to their partitions once more, in their order; each says at which offset it stood before."""
        sent = [
            await self.producer.send(
                self._topic, record.value, record.key, record.partition, headers=[(AGAIN, str(record.offset).encode())]
            )
            for record in records
        ]
        await asyncio.gather(*sent)

    async def _append(self, value: bytes) -> Offsets:
        sent = [await self.producer.send(self._topic, value, partition=number) for number in self.partitions]
        return {each.partition: each.offset for each in await asyncio.gather(*sent)}

    async def follow(self, start: Mapping[int, int]) -> None:
        """Begin to note the fleet records from these offsets on."""
        for partition in sorted(self._consumer.assignment()):
            self._consumer.seek(partition, start.get(partition.partition, 0))
            self._consumer.resume(partition)
        self._follower = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        try:
            while True:
                for partition, records in (await self._consumer.getmany(timeout_ms=1000)).items():
                    found = [record.value for record in records if record_of(record.value) == "fleet"]
                    if found:
                        await self._note(partition.partition, found)
        finally:
            async with self._news:
                self._news.notify_all()  # who waits learns why nothing more comes

    async def _note(self, partition: int, values: list[bytes]) -> None:
        async with self._news:
            for value in values:
                fleet: dict[str, Any] = codec.decode(value)[1]
                self._fleets.setdefault((fleet["epoch"], fleet["day"]), set()).add(partition)
            self._news.notify_all()

    async def await_fleet(self, epoch: int, day: int, within_s: float) -> None:
        """
        Return once the fleet record of `day` is on every partition.

        Raises:
            NoFleet: it was not there in time.
        """
        everywhere = set(self.partitions)

        def arrived() -> bool:
            if self._follower is not None and self._follower.done():
                self._follower.result()  # it ends by an error only, which is the reason to stop
            return self._fleets.get((epoch, day), set()) >= everywhere

        try:
            async with self._news, asyncio.timeout(within_s):
                await self._news.wait_for(arrived)
        except TimeoutError as error:
            missing = sorted(everywhere - self._fleets.get((epoch, day), set()))
            why = await missing_fleet.where(self._kafka, epoch, day, everywhere, missing)
            raise NoFleet(
                f"the fleet record of day {day} ({within_s:.0f} s waited) is missing on partitions {missing}. {why}: is the "
                "scorer running and ready (`tidemark doctor`)? Run the same command again to go on from here."
            ) from error
        for old in [key for key in self._fleets if key[1] < day]:
            del self._fleets[old]

    async def unattributed_ends(self) -> Offsets:
        """Return the present end of each partition of usage-unattributed."""
        topic = full_name(self._kafka, USAGE_UNATTRIBUTED)
        return by_partition(
            await self._consumer.end_offsets([TopicPartition(topic, number) for number in self.partitions])
        )

    async def ends(self) -> Offsets:
        """Return the present end of each partition."""
        return by_partition(await self._consumer.end_offsets(sorted(self._consumer.assignment())))


def midnight(at_ms: int) -> int:
    """Return the start of the UTC day of `at_ms`, in milliseconds."""
    return at_ms - at_ms % DAY_MS
