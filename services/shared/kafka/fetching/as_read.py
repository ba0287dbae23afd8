# ruff: noqa: SLF001 - a private seam, held by contract tests
"""Records of an aiokafka consumer as its C parser makes them: a ConsumerRecord costs 2.5 us and tells nothing more."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.shared.kafka.fetching.answers import Results, expect_whole, heed_fetches


class _AsRead(Results):
    """A fetcher's results, told to yield records as they were read."""

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        records = getattr(result, "_partition_records", None)
        if records is not None:
            records._consumer_record = _as_read
        super().__setitem__(tp, result)


def _as_read(_tp: TopicPartition, record: Any) -> Any:
    return record


def take_as_read(consumer: AIOKafkaConsumer, whole: Collection[str] = ()) -> None:
    """
    Have a started consumer yield records as aiokafka's parser makes them, from its next fetch on.

    They have offset, key, value, timestamp, timestamp_type and headers; topic and partition are those asked for. `whole` are the full
    names of topics in which nothing may be missing: those that are not compacted.
    """
    fetcher = consumer._fetcher
    heed_fetches(fetcher)
    if not isinstance(fetcher._records, _AsRead):
        fetcher._records = _AsRead(fetcher._records)
        expect_whole(fetcher, whole)
        learn_leaders(fetcher)


def learn_leaders(fetcher: Any) -> None:
    """
    Have a fetcher ask anew who leads a partition, when the broker that it asks for an offset no longer does.

    aiokafka asks the same broker again, for ever, where a partition has no position yet, and fetches nothing meanwhile.
    """
    ask = fetcher._proc_offset_request

    async def asking(node_id: int, topic_data: Any) -> Any:
        try:
            return await ask(node_id, topic_data)
        except KafkaError as error:
            if error.invalid_metadata:
                fetcher._client.force_metadata_update()
            raise

    fetcher._proc_offset_request = asking
