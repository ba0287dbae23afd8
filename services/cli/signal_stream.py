"""
The signals as a subscriber should read them: first what is open, then whatever happens.

Promises: no transition is missing between the two parts and none comes twice. How: the ends of the signal topics are
noted before open-signals is read, as far as transactions are settled; a transition before these ends is in
open-signals, since both are written in one transaction, and one after them that open-signals has already is skipped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from schemas import codec
from services.shared.kafka.reading import reader, scan
from services.shared.kafka.settings import KafkaSettings

OPEN = "open-signals"
TOPICS = ("risk-signals", "expansion-signals")

Signal = dict[str, Any]
"""A decoded record of schemas/signal."""


async def follow(kafka: KafkaSettings, *, history: bool = False, endless: bool = True) -> AsyncIterator[Signal]:
    """
    Yield the latest transition of each open episode by time, then each new transition as it is committed.

    Args:
        kafka: Where.
        history: Begin with every transition that is kept instead of the open episodes.
        endless: Go on for ever; otherwise stop at the end as it is now.
    """
    async with AsyncExitStack() as stack:
        tails = []
        for topic in TOPICS:
            client, partitions = await stack.enter_async_context(reader(kafka, topic))
            settled = await client.end_offsets(partitions)
            tails.append((client, settled))
        shown: dict[str, int] = {}
        past = [signal async for signal in (_kept(kafka) if history else _open(kafka))]
        for signal in sorted(past, key=lambda each: (each["at"], each["signal_id"])):
            shown[signal["episode_id"]] = max(shown.get(signal["episode_id"], 0), signal["transition_number"])
            yield signal
        if not endless:
            return
        for client, settled in tails:
            for partition, offset in settled.items():
                client.seek(partition, offset)
        while True:
            for client, _ in tails:
                for records in (await client.getmany(timeout_ms=100)).values():
                    for record in records:
                        signal = codec.decode(record.value)[1]
                        if signal["transition_number"] > shown.get(signal["episode_id"], 0):
                            shown[signal["episode_id"]] = signal["transition_number"]
                            yield signal


async def _open(kafka: KafkaSettings) -> AsyncIterator[Signal]:
    latest: dict[bytes, Signal] = {}
    async for record in scan(kafka, OPEN):
        if record.value is None:
            latest.pop(record.key, None)
        else:
            latest[record.key] = codec.decode(record.value)[1]
    for signal in latest.values():
        yield signal


async def _kept(kafka: KafkaSettings) -> AsyncIterator[Signal]:
    for topic in TOPICS:
        async for record in scan(kafka, topic):
            yield codec.decode(record.value)[1]
