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
from aiokafka.errors import (
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from tenacity import retry, retry_if_result, stop_after_attempt, wait_fixed

from schemas.topics import INSTALLATION, TOPICS, Topic
from services.shared.counts import counted
from services.shared.errors import Fatal, Misfit
from services.shared.kafka import installation, replication
from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_configs import configs

_LEADERS_WITHIN_S = 30.0
_LOOKS = 3
"""How often a topic is looked for that is not there."""
_LOOK_AGAIN_AFTER_S = 1.0


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


async def create(kafka: KafkaSettings, topics: Iterable[Topic] | None = None, *, adopt: bool = False) -> list[str]:
    """
    Create the topics that do not exist and return their full names, once every topic can be written to.

    The number of partitions is recorded for good with the first of them. `adopt` records it for topics that hold data
    already and have lost the record.

    Raises:
        Misfit: the data was written under another number of partitions, or nobody knows under which.
        Fatal: the cluster refuses, or no leader is elected in time.
    """
    wanted = {full_name(kafka, topic): topic for topic in (*(topics or TOPICS.values()), TOPICS[INSTALLATION])}
    async with admin(kafka) as client:
        present = set(await client.list_topics())
        held = await installation.recorded(kafka) if kafka.scoped(INSTALLATION) in present else None
        if held is None:
            await _known_by_nobody(kafka, client, present, adopt=adopt)
        elif held != kafka.partitions:
            raise Misfit([installation.differs(kafka, held)])
        brokers = await replication.brokers(client)
        new = [
            NewTopic(
                name=name,
                num_partitions=partitions_of(kafka, topic),
                replication_factor=replication.copies(kafka, topic, brokers),
                topic_configs={
                    **topic.kafka_config,
                    "min.insync.replicas": str(replication.in_sync(kafka, topic, brokers)),
                },
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
    if held is None:
        held = await installation.record(kafka)
        if held != kafka.partitions:
            raise Misfit([installation.differs(kafka, held)])
    return [topic.name for topic in new]


async def _known_by_nobody(
    kafka: KafkaSettings, client: AIOKafkaAdminClient, present: set[str], *, adopt: bool
) -> None:
    """Refuse to record a number that is a guess."""
    there = [name for topic in TOPICS.values() if _is_shared(topic) and (name := full_name(kafka, topic)) in present]
    counts = await _partition_counts(client, there)
    problems = [
        other_count(name, count, kafka.partitions) for name, count in counts.items() if count != kafka.partitions
    ]
    if not problems and not adopt and await installation.holds_data(kafka, counts):
        unknown = f"topics hold data, but {kafka.scoped(INSTALLATION)} does not say under how many partitions it"
        problems = [f"{unknown} was written. If it always was {kafka.partitions}, run `tidemark topics create --adopt`"]
    if problems:
        raise Misfit(problems)


def _is_shared(topic: Topic) -> bool:
    return topic.partitions == "shared"


def other_count(name: str, count: int, expected: int) -> str:
    """Say that a topic has another number of partitions than the data was written under."""
    return (
        f"topic {name} has {counted(count, 'partition')}, {counted(expected, 'is', 'are')} needed (TIDEMARK_PARTITIONS): accounts would be split"
        ' between lanes. Kafka takes no partition back: see docs/operating.md, "Somebody added partitions to a topic"'
    )


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
    problems = await misfits(kafka, wanted.values())
    async with admin(kafka) as client:
        present = set(await client.list_topics())
        try:
            found = await configs(client, [name for name in wanted if name in present])
        except Misfit as error:
            return [*problems, *error.problems]
    for name, config in found.items():
        for key, value in sorted(wanted[name].kafka_config.items()):
            if config.get(key) != value:
                problems.append(f"topic {name} has {key}={config.get(key)}, its record says {value}")
    return problems


async def any_exists(kafka: KafkaSettings) -> bool:
    """Return whether this deployment has a topic at all."""
    async with admin(kafka) as client:
        return not {full_name(kafka, topic) for topic in TOPICS.values()}.isdisjoint(await client.list_topics())


async def misfits(kafka: KafkaSettings, topics: Iterable[Topic]) -> list[str]:
    """
    Return why data may be neither written nor read: topics that are missing, or have another number of partitions.

    A topic that a broker does not know is asked for again for two seconds: one that has just started, or a topic that was just
    created, may not have got there yet.
    """
    wanted = {full_name(kafka, topic): topic for topic in topics}
    record_of_partitions = kafka.scoped(INSTALLATION)
    names = list(dict.fromkeys((*wanted, record_of_partitions)))
    counts, missing = await _seen(kafka, names)
    problems = [absence(name, code) for name, code in missing.items()]
    held = await installation.recorded(kafka) if record_of_partitions not in missing else None
    if held is not None and held != kafka.partitions:
        problems.append(installation.differs(kafka, held))
    if held is None and record_of_partitions not in missing:
        problems.append(f"topic {record_of_partitions} is empty: run `tidemark topics create`")
    for name, topic in wanted.items():
        expected = held if held is not None and _is_shared(topic) else partitions_of(kafka, topic)
        if (count := counts.get(name, expected)) != expected:
            problems.append(other_count(name, count, expected))
    return problems


@retry(
    retry=retry_if_result(lambda seen: bool(seen[1])),
    stop=stop_after_attempt(_LOOKS),
    wait=wait_fixed(_LOOK_AGAIN_AFTER_S),
    retry_error_callback=lambda last: last.outcome and last.outcome.result(),
)
async def _seen(kafka: KafkaSettings, names: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the number of partitions of each topic that is there, and the error code of each that is not."""
    async with admin(kafka) as client:
        present = set(await client.list_topics())
        counts = await _partition_counts(client, [name for name in names if name in present])
        missing = [name for name in names if name not in present]
        # A list leaves out what may not be seen; who asks by name is told.
        described = await client.describe_topics(missing) if missing else []
    codes = {topic["topic"]: topic["error_code"] for topic in described}
    return counts, {name: codes[name] for name in missing}


def absence(name: str, code: int) -> str:
    """Say why a topic is not there for this process, by the error code that the cluster answers."""
    if code == TopicAuthorizationFailedError.errno:
        return f"the cluster does not let this process see topic {name}: give it the rights in docs/operating.md, Permissions"
    return f"topic {name} does not exist: run `tidemark topics create`"


async def refuse_misfits(kafka: KafkaSettings, topics: Iterable[str]) -> None:
    """
    Return where the topics (names without prefix) may be worked with.

    Raises:
        Misfit: they are missing, or have another number of partitions than the data was written under.
    """
    problems = await misfits(kafka, [TOPICS[name] for name in topics])
    if problems:
        raise Misfit(problems)


async def _partition_counts(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    if not names:
        return {}
    described = await client.describe_topics(names)
    return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}


async def made_by_brokers(kafka: KafkaSettings) -> bool:
    """Return whether a broker creates a topic for whoever sends to it; False where the cluster does not let us see that."""
    async with admin(kafka) as client:
        up = [str(broker["node_id"]) for broker in (await client.describe_cluster())["brokers"]]
        responses = await client.describe_configs([ConfigResource(ConfigResourceType.BROKER, node) for node in up])
    settings = {
        (entry[0], entry[1])
        for response in responses
        for _, _, _, _, entries in response.resources
        for entry in entries
    }
    return ("auto.create.topics.enable", "true") in settings


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
