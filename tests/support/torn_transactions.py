"""
Transactions that a broker commits in part, as a coordinator does that does not know yet that another has taken its place.

It sends the markers of a commit, which partitions with too few replicas refuse; the other ends the transaction by an abort
(docs/adr/0136). Here one marker is sent by hand, and the next producer of the transaction's id aborts the rest.
"""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings

_FIRST_EPOCH = 0
"""That of a coordinator whose broker has never been restarted; a higher one would shut the real one out."""


class _Response(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 27
    API_VERSION = 1
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                (
                    "topics",
                    CompactArray(
                        ("name", CompactString("utf-8")),
                        (
                            "partitions",
                            CompactArray(("partition", Int32), ("error_code", Int16), ("tags", TaggedFields)),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _RequestV1(RequestStruct):  # type: ignore[misc]  # as above
    FLEXIBLE_VERSION = True
    API_KEY = 27
    API_VERSION = 1
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("committed", Boolean),
                (
                    "topics",
                    CompactArray(
                        ("name", CompactString("utf-8")), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
                    ),
                ),
                ("coordinator_epoch", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _WriteTxnMarkers(Request[_RequestV1]):  # type: ignore[misc]  # as above
    API_KEY = 27

    def __init__(self, markers: list[Any]) -> None:
        self._markers = markers

    def build(self, request_struct_class: type[_RequestV1]) -> _RequestV1:
        return request_struct_class(self._markers, {})


async def commit_in_part(kafka: KafkaSettings, producer: AIOKafkaProducer, *parts: TopicPartition) -> None:
    """Commit the open transaction of a producer in these partitions alone."""
    state = producer._txn_manager
    topics: list[Any] = [(part.topic, [part.partition], {}) for part in parts]
    marker: Any = (state.producer_id, state.producer_epoch, True, topics, _FIRST_EPOCH, {})
    async with admin(kafka) as client:
        answer = await client._send_request(_WriteTxnMarkers([marker]))
    assert [error for _, told, _ in answer.markers for _, of, _ in told for _, error, _ in of] == [0] * len(parts)


async def offsets_partition(kafka: KafkaSettings, group: str) -> TopicPartition:
    """Return where the offsets of a group (with prefix) are, by Kafka's own hash of its name."""
    async with admin(kafka) as client:
        (topic,) = await client.describe_topics(["__consumer_offsets"])
    hashed = 0
    for letter in group:
        hashed = (31 * hashed + ord(letter)) & 0xFFFFFFFF
    signed = hashed - (1 << 32) if hashed >> 31 else hashed
    return TopicPartition("__consumer_offsets", abs(signed) % len(topic["partitions"]))
