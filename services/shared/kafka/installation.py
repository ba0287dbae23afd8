"""
The number of partitions under which an installation's data was written, kept with that data.

An account lives in the partition that its id gives modulo this number. Settings and topics can both be changed, even
together; then half of an account's history would lie in another lane, and nothing would look wrong. So the number is
written once, when the topics are created, and whoever reads or writes data compares.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

from schemas import codec
from schemas.topics import INSTALLATION
from services.shared.kafka.clients import consumer, producer
from services.shared.kafka.settings import KafkaSettings

_RECORD = "installation"
_READ_WITHIN_S = 10.0
_ATTEMPTS = 3
_encode = codec.encoder(_RECORD)


async def recorded(kafka: KafkaSettings) -> int | None:
    """
    Return the recorded number, None where nothing is recorded yet; the topic has to exist.

    Raises:
        KafkaTimeoutError: it could not be read.
    """
    # A consumer that was opened while leaders changed was seen to wait without end for records that were there.
    again = AsyncRetrying(retry=retry_if_exception_type(TimeoutError), stop=stop_after_attempt(_ATTEMPTS), reraise=True)
    try:
        return await again(_read, kafka)
    except TimeoutError as error:
        within = f"{_ATTEMPTS * _READ_WITHIN_S:g} s"
        raise KafkaTimeoutError(f"{kafka.scoped(INSTALLATION)} could not be read within {within}") from error


async def _read(kafka: KafkaSettings) -> int | None:
    tp = TopicPartition(kafka.scoped(INSTALLATION), 0)
    client = consumer(kafka)
    try:
        async with asyncio.timeout(_READ_WITHIN_S):
            await client.start()
            client.assign([tp])
            end = (await client.end_offsets([tp]))[tp]
            await client.seek_to_beginning(tp)
            while await client.position(tp) < end:
                for record in (await client.getmany(tp, timeout_ms=100)).get(tp, []):
                    with suppress(codec.CodecError):
                        name, value = codec.decode(record.value or b"")
                        if name == _RECORD:
                            return int(value["partitions"])
    finally:
        await client.stop()
    return None


async def record(kafka: KafkaSettings) -> int:
    """Record the configured number, and return the one that holds: another process may have been first."""
    # The topic is new: its leader has a name before it serves, and until then each retry costs client and broker work.
    client = producer(kafka, retry_backoff_ms=100)
    await client.start()
    try:
        value = _encode({"partitions": kafka.partitions, "at": time.time_ns() // 1_000_000})
        await client.send_and_wait(kafka.scoped(INSTALLATION), value, partition=0)
    finally:
        await client.stop()
    held = await recorded(kafka)
    return kafka.partitions if held is None else held


def differs(kafka: KafkaSettings, held: int) -> str:
    """Say that the setting is not the recorded number, and what to do."""
    return (
        f"TIDEMARK_PARTITIONS is {kafka.partitions}, but the data of this installation was written under {held}"
        f" partitions: set TIDEMARK_PARTITIONS={held}. The number cannot be changed for data that exists"
    )


async def holds_data(kafka: KafkaSettings, counts: dict[str, int]) -> bool:
    """Return whether any of these topics (full name, number of partitions) has ever had a record."""
    partitions = [TopicPartition(name, partition) for name, count in counts.items() for partition in range(count)]
    if not partitions:
        return False
    client = consumer(kafka)
    await client.start()
    try:
        return any((await client.end_offsets(partitions)).values())
    finally:
        await client.stop()
