"""
Topics on the cluster, as their records in `schemas/topics/` say: create what is missing, name what differs.

Nothing here changes a topic that exists: more partitions would split accounts between lanes, and a shorter
retention would lose data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from schemas.topics import TOPICS, Topic
from services.shared.errors import Fatal
from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings

_LEADERS_WITHIN_S = 30.0


def full_name(kafka: KafkaSettings, topic: str | Topic) -> str:
    """
    Return a topic's name on the cluster.

    Raises:
        KeyError: there is no record of such a topic.
    """
    return kafka.scoped(topic.name if isinstance(topic, Topic) else TOPICS[topic].name)


def partitions_of(kafka: KafkaSettings, topic: str | Topic) -> int:
    """Return how many partitions a topic has to have in this deployment."""
    record = topic if isinstance(topic, Topic) else TOPICS[topic]
    return kafka.partitions if record.partitions == "shared" else record.partitions


async def create(kafka: KafkaSettings, topics: Iterable[Topic] | None = None) -> list[str]:
    """
    Create the topics that do not exist and return their full names, once every topic can be written to.

    Raises:
        Fatal: the cluster refuses, or no leader is elected in time.
    """
    wanted = {full_name(kafka, topic): topic for topic in topics or TOPICS.values()}
    async with admin(kafka) as client:
        present = set(await client.list_topics())
        new = [
            NewTopic(
                name=name,
                num_partitions=partitions_of(kafka, topic),
                replication_factor=kafka.replication,
                topic_configs=dict(topic.kafka_config),
            )
            for name, topic in wanted.items()
            if name not in present
        ]
        if new:
            response = await client.create_topics(new)
            for name, code, *rest in response.topic_errors:
                error = for_code(code)
                if code and error is not TopicAlreadyExistsError:
                    raise Fatal(f"topic {name} could not be created: {rest[0] if rest else error.__name__}")
        await _wait_for_leaders(client, wanted)
        return [topic.name for topic in new]


async def delete(kafka: KafkaSettings, topics: Iterable[Topic] | None = None) -> None:
    """Delete the topics of this deployment with everything in them; those that do not exist are passed over."""
    wanted = {full_name(kafka, topic) for topic in topics or TOPICS.values()}
    async with admin(kafka) as client:
        present = wanted & set(await client.list_topics())
        if not present:
            return
        response = await client.delete_topics(sorted(present))
        for name, code in response.topic_error_codes:
            if code and for_code(code) is not UnknownTopicOrPartitionError:
                raise Fatal(f"topic {name} could not be deleted: {for_code(code).__name__}")


async def check(kafka: KafkaSettings, topics: Iterable[Topic] | None = None) -> list[str]:
    """Return what differs between the cluster and the records, one sentence each; none when all is well."""
    wanted = {full_name(kafka, topic): topic for topic in topics or TOPICS.values()}
    problems: list[str] = []
    async with admin(kafka) as client:
        present = set(await client.list_topics())
        there = [name for name in wanted if name in present]
        problems += [
            f"topic {name} does not exist: run `tidemark topics create`" for name in wanted if name not in present
        ]
        counts = await _partition_counts(client, there)
        configs = await _configs(client, there)
    for name in there:
        expected = partitions_of(kafka, wanted[name])
        if counts.get(name) != expected:
            problems.append(
                f"topic {name} has {counts.get(name, 0)} partitions, {expected} are configured (TIDEMARK_PARTITIONS):"
                " accounts would be split between lanes; configure the number that it has"
            )
        for key, value in sorted(wanted[name].kafka_config.items()):
            real = configs.get(name, {}).get(key)
            if real != value:
                problems.append(f"topic {name} has {key}={real}, its record says {value}")
    return problems


async def _partition_counts(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    if not names:
        return {}
    described = await client.describe_topics(names)
    return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}


async def _configs(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    responses = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for response in responses
        for _code, _message, _type, name, entries in response.resources
    }


async def _wait_for_leaders(client: AIOKafkaAdminClient, wanted: dict[str, Topic]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LEADERS_WITHIN_S
    while True:
        described = await client.describe_topics(list(wanted))
        ready = {
            topic["topic"]
            for topic in described
            if not topic["error_code"] and topic["partitions"] and all(p["leader"] >= 0 for p in topic["partitions"])
        }
        if ready >= wanted.keys():
            return
        if loop.time() >= deadline:
            raise Fatal(f"no leader for {', '.join(sorted(wanted.keys() - ready))} within {_LEADERS_WITHIN_S:.0f} s")
        await asyncio.sleep(0.05)
