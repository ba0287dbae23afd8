# ruff: noqa: SLF001 - a private seam, held by tests that damage a real log
"""
Batches that a broker does not give as they were written: a consumer raises for them, where their checksum does not hold.

aiokafka drops what it took of other partitions in the call that raises, and goes on behind it: these records would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException


def positions(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Return where the consumer stands in each assigned partition that has a position; call it in its own loop."""
    subscription = consumer._fetcher._subscriptions.subscription
    assignment = subscription.assignment if subscription is not None else None
    if assignment is None:
        return {}
    states = {tp: assignment.state_value(tp) for tp in partitions if tp in assignment.tps}
    return {tp: state.position for tp, state in states.items() if state.has_valid_position}


def take_again(consumer: AIOKafkaConsumer, start: Mapping[TopicPartition, int]) -> None:
    """Go back to where the partitions were before the call that raised."""
    for tp, at in positions(consumer, start).items():
        if at != start[tp]:
            consumer._fetcher.seek_to(tp, start[tp])


def damaged(error: CorruptRecordException, partitions: Iterable[TopicPartition]) -> TopicPartition | None:
    """Return which of the partitions holds the batch; None if the error names none of them."""
    return next((tp for tp in partitions if str(tp) in str(error)), None)
