# ruff: noqa: SLF001 - the admin client's own question passes errors over, and has no other way to ask
"""
What a consumer group has committed, or why nobody tells it.

aiokafka's own question takes an error of the group for a group that has committed nothing, and raises an error of a partition as
`NoError`.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import OffsetAndMetadata

from services.shared.errors import Misfit

_RIGHTS = "give it the rights in docs/operating.md, Permissions"


async def group_offsets(
    client: AIOKafkaAdminClient, group: str, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """
    Return what a group has committed of some partitions, all by their full names; -1 where it has committed nothing.

    Raises:
        Misfit: the cluster does not let this process see it.
        KafkaError: it is not told now: the group has no coordinator, or one that still loads.
    """
    try:
        coordinator = await client.find_coordinator(group)
    except GroupAuthorizationFailedError as error:
        raise hidden(group) from error
    asked = groupby(sorted(partitions), lambda each: each.topic)
    request = OffsetFetchRequest(group, [(topic, [each.partition for each in some]) for topic, some in asked])
    response: Any = await client._send_request(request, coordinator)
    if response.error_code == GroupAuthorizationFailedError.errno:
        raise hidden(group)
    if response.error_code:
        raise for_code(response.error_code)(f"group {group} does not tell its offsets")
    found: dict[TopicPartition, OffsetAndMetadata] = {}
    for topic, told in response.topics:
        for partition, offset, metadata, code in told:
            if code == TopicAuthorizationFailedError.errno:
                raise Misfit([f"the cluster does not let this process see topic {topic}: {_RIGHTS}"])
            if code:
                raise for_code(code)(f"group {group} does not tell its offset of {topic}/{partition}")
            found[TopicPartition(topic, partition)] = OffsetAndMetadata(offset, metadata)
    return found


def hidden(group: str) -> Misfit:
    """Return that a group, by its full name, is not told, and what to do."""
    return Misfit([f"the cluster does not let this process use group {group}: {_RIGHTS}"])
