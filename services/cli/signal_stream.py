"""
The signals as a subscriber should read them: first what is open, then whatever happens.

Promises: no transition is missing between the two parts and none comes twice. How: the ends of the signal topics are
noted before open-signals is read, as far as transactions are settled; a transition before these ends is in
open-signals, since both are written in one transaction, and one after them that open-signals has already is skipped. What
is deleted before it could be read, as where this process was frozen for long, is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from schemas.topics import EXPANSION_SIGNALS, OPEN_SIGNALS, RISK_SIGNALS
from services.shared.kafka.reading import decoded, latest, reader, scan
from services.shared.kafka.settings import KafkaSettings

_SIGNALS = (RISK_SIGNALS, EXPANSION_SIGNALS)

Signal = dict[str, Any]
"""A decoded record of schemas/signal."""


class SignalStream:
    """
    Use as an async context manager: `past` first, then `news`.

    With `history` the past is every transition that is kept, instead of the open episodes. `tell` is called with what was
    deleted before it could be read.
    """

    def __init__(self, kafka: KafkaSettings, tell: Callable[[str], None], *, history: bool = False) -> None:
        self._kafka = kafka
        self._tell = tell
        self._history = history
        self._tails: list[AIOKafkaConsumer] = []
        self._shown: dict[str, int] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Note where the news begin."""
        for topic in _SIGNALS:
            client, partitions = await self._open.enter_async_context(
                reader(self._kafka, topic, auto_offset_reset="none")
            )
            settled = await client.end_offsets(partitions)
            for partition, offset in settled.items():
                client.seek(partition, offset)
            self._tails.append(client)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._open.aclose()

    async def past(self) -> list[Signal]:
        """Return the latest transition of each open episode, or all that are kept, by time."""
        found = [signal async for signal in (_kept(self._kafka) if self._history else _open(self._kafka))]
        for signal in found:
            episode = signal["episode_id"]
            self._shown[episode] = max(self._shown.get(episode, 0), signal["transition_number"])
        return sorted(found, key=lambda each: (each["at"], each["signal_id"]))

    async def news(self) -> AsyncIterator[Signal]:
        """Yield each transition that `past` did not have, as it is committed, for ever."""
        while True:
            for client in self._tails:
                for records in (await self._read(client)).values():
                    for record in records:
                        signal = decoded(record.value)[1]
                        if signal and signal["transition_number"] > self._shown.get(signal["episode_id"], 0):
                            self._shown[signal["episode_id"]] = signal["transition_number"]
                            yield signal

    async def _read(self, client: AIOKafkaConsumer) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        records: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = {}
        try:
            records = await client.getmany(timeout_ms=100)
        except OffsetOutOfRangeError as error:
            lost: dict[TopicPartition, int] = error.args[0]
            for partition, begin in (await client.beginning_offsets(list(lost))).items():
                client.seek(partition, begin)
                self._tell(
                    f"{partition.topic}/{partition.partition} was read up to offset {lost[partition]}, and what followed was"
                    " deleted before it could be read: begin anew to see what is open now"
                )
        return records


async def _open(kafka: KafkaSettings) -> AsyncIterator[Signal]:
    for signal in (await latest(kafka, OPEN_SIGNALS, lambda record: decoded(record.value)[1] or None)).values():
        yield signal


async def _kept(kafka: KafkaSettings) -> AsyncIterator[Signal]:
    for topic in _SIGNALS:
        async for record in scan(kafka, topic):
            if signal := decoded(record.value)[1]:
                yield signal
