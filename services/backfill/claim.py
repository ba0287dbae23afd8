"""
Which run a file belongs to: the one that said so last, on the topic of progress. All others of the file end at once.

Two runs of one file would each tick the clock, and what one sends again after the other has moved log time by more than a day
counts twice. A former run may live on without anybody knowing, in a terminal that was lost or on a machine that does not answer,
so the newer one goes on, and the former one learns of it within a fraction of a second.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer

from schemas.topics import BACKFILL_PROGRESS
from services.backfill.progress import RUN
from services.shared.errors import TidemarkError
from services.shared.kafka.reading import reader
from services.shared.kafka.settings import KafkaSettings

YIELD_S = 2.0
"""In which a former run learns that another has taken the file over; requests that it has made by then have arrived too."""


class TakenOver(TidemarkError):
    """Another run has taken the file over, or somebody has given its drive up."""


def new_run() -> str:
    """Return what no other run is called."""
    return uuid.uuid4().hex


class Claim:
    """
    Cancels what it encloses once another run claims the file, and raises TakenOver in its place.

    Use as an async context manager, and write progress with `run` once within it: that is the claim. Those before it do not
    count.
    """

    def __init__(self, kafka: KafkaSettings, sha256: str) -> None:
        self.run = new_run()
        self._kafka = kafka
        self._key = sha256.encode()
        self._made = False
        self._ended_by: Exception | None = None
        self._open = AsyncExitStack()
        self._owner: asyncio.Task[object]
        self._cancelling = 0
        self._follower: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        """Begin to follow the topic."""
        client, partitions = await self._open.enter_async_context(reader(self._kafka, BACKFILL_PROGRESS))
        for partition, end in (await client.end_offsets(partitions)).items():
            client.seek(partition, end)
        owner = asyncio.current_task()
        assert owner is not None
        self._owner, self._cancelling = owner, owner.cancelling()
        self._follower = asyncio.create_task(self._follow(client))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop following; raise what has ended the run, if that came from here."""
        self._follower.cancel()
        await asyncio.gather(self._follower, return_exceptions=True)
        await self._open.aclose()
        if self._ended_by is not None and self._owner.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self._ended_by from error

    async def _follow(self, client: AIOKafkaConsumer) -> None:
        try:
            while not await self._taken_over(client):
                pass
        except Exception as error:  # noqa: BLE001  raised where the run ends
            self._ended_by = error
        else:
            self._ended_by = TakenOver(
                "another run of `tidemark backfill` has taken this file over, or --abandon has given it up: this one stops"
            )
        self._owner.cancel()

    async def _taken_over(self, client: AIOKafkaConsumer) -> bool:
        for records in (await client.getmany(timeout_ms=1000)).values():
            for record in records:
                run = dict(record.headers).get(RUN, b"").decode()
                if record.key == self._key and run:
                    if self._made and run != self.run:
                        return True
                    self._made = self._made or run == self.run
        return False
