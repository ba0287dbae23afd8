"""The settings of topics as the cluster has them, and how they may have drifted from the topics' records to do harm."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code

from schemas.topics import Topic
from services.shared.errors import Misfit


async def configs(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """
    Return the settings of topics, all by their full names; none of a topic that does not exist.

    Raises:
        Misfit: the cluster does not let this process see them.
        KafkaError: it does not tell them now.
    """
    if not names:
        return {}
    responses = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    found: dict[str, dict[str, str]] = {}
    hidden: list[str] = []
    for code, message, _type, name, entries in (each for response in responses for each in response.resources):
        if code == TopicAuthorizationFailedError.errno:
            hidden.append(name)
        elif code == UnknownTopicOrPartitionError.errno:
            continue
        elif code:
            raise for_code(code)(f"the settings of topic {name} are not told: {message}")
        else:
            found[name] = {entry[0]: entry[1] for entry in entries}
    if hidden:
        rights = "give it the right DescribeConfigs (docs/operating.md, Permissions)"
        raise Misfit(
            [f"the cluster does not let this process see the settings of topic {name}: {rights}" for name in hidden]
        )
    return found


def drift(topic: Topic, settings: Mapping[str, str]) -> dict[str, bool]:
    """
    Return what about a topic's settings does harm by itself, while nothing fails, and whether it does now.

    policy: compacted and should not be, or the reverse. retention: it keeps records for a shorter time than its record says, or
    by size. append_time: its records carry the time of their writer, and not that of the broker.
    """
    keeps, should = int(settings["retention.ms"]), topic.retention_ms
    shorter = keeps >= 0 and (should < 0 or keeps < should)
    return {
        "policy": settings["cleanup.policy"] != topic.cleanup,
        "retention": topic.cleanup == "delete" and (shorter or int(settings["retention.bytes"]) >= 0),
        "append_time": settings["message.timestamp.type"] != topic.config["message.timestamp.type"],
    }
