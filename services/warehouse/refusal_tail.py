"""
Follows the topics of what was refused, from 24 hours ago on, into counts that the query API tells.

Nothing of it is stored: letters hold what was sent, which is to be forgotten, and may be thirty times as large as events, so
they must not share the batches of the sink. A few are read at a time. A restart reads the 24 hours again.
"""

from __future__ import annotations

import asyncio
import logging
import time

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import DEAD_LETTERS, USAGE_REJECTED
from services.shared.errors import Fatal, UnknownVersion
from services.shared.kafka.reading import decoded, reader, record_of
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import HOUR_MS
from services.warehouse.domain.refusals import HOURS, Refusals

log = logging.getLogger(__name__)

_AT_A_TIME = 16
_FETCH_BYTES = 4 * 1024 * 1024
_PARTITION_BYTES = 256 * 1024
_MOST_BEHIND = 50_000
"""Letters of a partition that are read at the start; with more, the oldest are left out, and that is told."""
_AGAIN_S = 10.0


async def follow(kafka: KafkaSettings, refusals: Refusals) -> None:
    """Count letters until this is cancelled; while the log cannot be read, `refusals.problem` says so."""
    while True:
        try:
            await _read(kafka, refusals)
        except (KafkaError, OSError, Fatal, UnknownVersion) as error:
            log.warning("letters_not_read", extra={"error": repr(error)})
            refusals.problem = f"the letters cannot be read: {error or type(error).__name__}"[:300]
        except Exception:
            log.exception("letters_defect")  # counts of refusals are not worth the process
            refusals.problem = "an error of ours; it is logged"
        await asyncio.sleep(_AGAIN_S)


async def _read(kafka: KafkaSettings, refusals: Refusals) -> None:
    options = {"fetch_max_bytes": _FETCH_BYTES, "max_partition_fetch_bytes": _PARTITION_BYTES}
    async with reader(kafka, USAGE_REJECTED, DEAD_LETTERS, **options) as (client, partitions):
        left_out = await _seek(client, partitions)
        refusals.clear()
        refusals.problem = f"of {left_out} partitions, the oldest letters are left out" if left_out else ""
        while True:
            found = await client.getmany(timeout_ms=500, max_records=_AT_A_TIME)
            for partition, records in found.items():
                for record in records:
                    _look(kafka, refusals, partition, record)
                    await asyncio.sleep(0)


async def _seek(client: AIOKafkaConsumer, partitions: list[TopicPartition]) -> int:
    """Go to what was appended 24 hours ago; return for how many partitions that is too far back."""
    since = int(time.time() * 1000) - HOURS * HOUR_MS
    found = await client.offsets_for_times(dict.fromkeys(partitions, since))
    ends = await client.end_offsets(partitions)
    left_out = 0
    for partition in partitions:
        start = found[partition].offset if found.get(partition) else ends[partition]
        nearest = ends[partition] - _MOST_BEHIND
        left_out += start < nearest
        client.seek(partition, max(start, nearest))
    return left_out


def _look(
    kafka: KafkaSettings, refusals: Refusals, partition: TopicPartition, record: ConsumerRecord[bytes, bytes]
) -> None:
    if record_of(record.value) != "dead_letter":
        return
    letter = decoded(record.value)[1]
    if letter:
        topic = partition.topic.removeprefix(kafka.topic_prefix)
        refusals.see(letter, f"{topic}/{partition.partition}/{record.offset}", record.timestamp)
