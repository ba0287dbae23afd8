"""
Compare this machine's clock with those of the brokers, by the append times of what it writes.

An append time between the sending and the acknowledgement is right, however long that took: brokers are away for
minutes, machines sleep. What lies outside of it is how far the two clocks are apart, at least.
"""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition


def apart_ms(sent_ms: int, appended_ms: int, acknowledged_ms: int) -> int:
    """
    Return by how many milliseconds this machine's clock is ahead of the broker's; negative: behind; 0: no difference shows.

    Args:
        sent_ms: This machine's time before the record was sent.
        appended_ms: The append time in the acknowledgement.
        acknowledged_ms: This machine's time when the acknowledgement was there.
    """
    if appended_ms < sent_ms:
        return sent_ms - appended_ms
    return min(0, acknowledged_ms - appended_ms)


def leader_of(producer: AIOKafkaProducer, topic: str, partition: int) -> str:
    """Return `host:port` of the broker that leads a partition (topic with prefix), as the producer knows; empty: not known."""
    cluster: Any = producer.client.cluster
    node = cluster.leader_for_partition(TopicPartition(topic, partition))
    broker = cluster.broker_metadata(node) if node is not None and node >= 0 else None
    return f"{broker.host}:{broker.port}" if broker is not None else ""
