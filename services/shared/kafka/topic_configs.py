"""The settings of topics as the cluster has them."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code

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
