# ruff: noqa: SLF001 - the admin client has no public way to ask this
"""
The id of a topic: another one where a topic was deleted and recreated under its name.

aiokafka's newest metadata request is version 5; ids came with version 10 (Kafka 2.8). So this is a request of our own
on aiokafka's protocol types, a private seam that contract tests hold.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, ClassVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

NO_ID = bytes(16)
"""What a cluster tells whose topics have no ids."""


class Uuid(AbstractType[bytes]):  # type: ignore[misc]
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """Return them as they are."""
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        """Take them off a buffer."""
        return data.read(16)


class TopicsResponse(Response):  # type: ignore[misc]
    """Metadata, version 12."""

    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class TopicsRequestV12(RequestStruct):  # type: ignore[misc]
    """Metadata of some topics, version 12."""

    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = TopicsResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicsRequest(Request[TopicsRequestV12]):  # type: ignore[misc]
    """Ask for the metadata of one topic by its full name; never creates it."""

    API_KEY: ClassVar[int] = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[TopicsRequestV12]) -> TopicsRequestV12:
        """Return the request as it is sent."""
        return request_struct_class([(NO_ID, self._topic, {})], False, False, {})


async def topic_id(client: AIOKafkaAdminClient, topic: str) -> bytes:
    """
    Return the id of a topic (full name); sixteen zeros where the cluster has none.

    Raises:
        UnknownTopicOrPartitionError: the broker that was asked knows no such topic: there is none, or it has just started.
        KafkaError: it does not tell.
    """
    try:
        response: Any = await client._send_request(TopicsRequest(topic))
    except (NotImplementedError, IncompatibleBrokerVersion):  # how aiokafka says that a broker is too old
        return NO_ID
    code, _, id_, *_ = response.topics[0]
    if code:  # with zeros for an id: noted as if they were one, the next topic of that name would pass for this one
        raise for_code(code)(f"nobody tells the id of topic {topic}")
    return bytes(id_)
