"""What is measured side by side: processes that take events by HTTP and write them to Kafka."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from confluent_kafka import Consumer, TopicPartition

from services.shared.kafka.settings import KafkaSettings

_QUIET_S = 2.5
"""As long as nothing new has to come until all has come; Jitsu's producer gathers for a second."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A process that runs, and where its events are found. Batches go to /v1/batch of each, with `bench` as the key."""

    name: str
    pid: int
    url: str
    kafka: KafkaSettings
    topics: tuple[str, ...]
    """By their full names."""
    ids_of: Callable[[bytes], list[str]]
    """Returns the message id of the event that a record holds; none where it holds none."""
    single: str = "/v1/track"
    """Path of single track events."""


class Kept:
    """
    Reads the ids of the events that a subject writes from now on.

    The consumer is the one of librdkafka: peers compress with what aiokafka alone does not read.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._client = Consumer(
            {
                "bootstrap.servers": subject.kafka.bootstrap_servers,
                "group.id": f"bench-{uuid.uuid4().hex[:8]}",
                "enable.auto.commit": False,
            }
        )

    def __enter__(self) -> Self:
        found = []
        for topic in self._subject.topics:
            for number in self._client.list_topics(topic, 10).topics[topic].partitions:
                _, end = self._client.get_watermark_offsets(TopicPartition(topic, number), 10)
                found.append(TopicPartition(topic, number, end))
        self._client.assign(found)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ids(self) -> list[str]:
        """Return them once nothing has come for a while."""
        found: list[str] = []
        last = time.monotonic()
        while time.monotonic() - last < _QUIET_S:
            for message in self._client.consume(1_000, 0.2):
                if message.error() is None:
                    last = time.monotonic()
                    found += self._subject.ids_of(message.value() or b"")
        return found
