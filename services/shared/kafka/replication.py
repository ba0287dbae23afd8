"""
How many copies a topic has, and how many of them a record waits for.

The topic records say three and two. A cluster with fewer brokers cannot keep that: there a topic gets what is
possible, and `tidemark topics create` says so. TIDEMARK_REPLICATION, where it is set, stands for the record's number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import TOPICS, Topic
from services.shared.errors import Misfit
from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_configs import configs

_COPIES = 3
"""Of topics that brokers keep for themselves, as of ours."""
_KEPT_BY_BROKERS = {"__transaction_state": "transaction.state.log", "__consumer_offsets": "offsets.topic"}
"""Without their leaders no lane commits and no group forms; by topic, how the settings of brokers for it begin."""


async def brokers(client: AIOKafkaAdminClient) -> int:
    """Return how many brokers are up."""
    return len((await client.describe_cluster())["brokers"])


def copies(kafka: KafkaSettings, topic: Topic, brokers: int) -> int:
    """Return the replication factor to create a topic with."""
    return kafka.replication or min(topic.replication, brokers)


def in_sync(kafka: KafkaSettings, topic: Topic, brokers: int) -> int:
    """Return the min.insync.replicas to create a topic with: one copy may always be away, if there is more than one."""
    return max(1, min(topic.min_insync, copies(kafka, topic, brokers) - 1))


def below_the_record(kafka: KafkaSettings, brokers: int) -> str | None:
    """Return a sentence about topics that are created with fewer copies than their records say; None if none are."""
    for topic in TOPICS.values():
        real = copies(kafka, topic, brokers)
        if real < topic.replication:
            why = "TIDEMARK_REPLICATION says so" if kafka.replication else f"the cluster has {brokers} broker(s)"
            lost = "the loss of one disk loses data" if real == 1 else "one broker may be away, not two"
            return f"topics keep {real} of {topic.replication} wanted copies of each record, since {why}: {lost}"
    return None


async def summary(kafka: KafkaSettings) -> str:
    """Return how many copies the cluster can keep, and what that means where it is fewer than the records say."""
    async with admin(kafka) as client:
        up = await brokers(client)
        partitions = await _partitions(client, kafka)
    # One that is away for now is of the cluster all the same.
    known = {node for partition in partitions for node in partition["replicas"]}
    return below_the_record(kafka, max(up, len(known))) or "as many as the records say"


async def lacking(kafka: KafkaSettings) -> str | None:
    """Return which copies are not in sync now, and what that means; None where all are."""
    async with admin(kafka) as client:
        partitions = await _partitions(client, kafka)
    short = [each for each in partitions if len(each["isr"]) < len(each["replicas"])]
    led_by_nobody = sum(each["leader"] < 0 for each in partitions)
    if not short and not led_by_nobody:
        return None
    nodes = sorted({node for each in short for node in {*each["replicas"]} - {*each["isr"]}})
    told = f"{len(short)} of {len(partitions)} partitions lack a copy, on broker {', '.join(map(str, nodes))}"
    if led_by_nobody:
        told += f", and {led_by_nobody} have no leader: these can be neither read nor written"
    return f"{told}; start what is down, and wait until it has caught up"


async def _partitions(client: AIOKafkaAdminClient, kafka: KafkaSettings) -> list[dict[str, Any]]:
    """Return what the cluster says of each partition of the topics that exist."""
    present = set(await client.list_topics())
    names = [name for name in map(kafka.scoped, TOPICS) if name in present]
    described = await client.describe_topics(names) if names else []
    return [partition for topic in described for partition in topic["partitions"]]


async def check(kafka: KafkaSettings, topics: Iterable[Topic] | None = None) -> list[str]:
    """Return the topics that exist with fewer copies, or wait for fewer, than the cluster could keep, or give up on them."""
    wanted = {kafka.scoped(topic.name): topic for topic in topics or TOPICS.values()}
    async with admin(kafka) as client:
        up = await brokers(client)
        present = set(await client.list_topics())
        there = [name for name in wanted if name in present]
        described = await client.describe_topics(there) if there else []
        try:
            told = await configs(client, there)
        except Misfit as error:
            return list(error.problems)
    problems = []
    for found in described:
        name = found["topic"]
        topic = wanted[name]
        real = min((len(partition["replicas"]) for partition in found["partitions"]), default=0)
        expected = copies(kafka, topic, up)
        if real < expected:
            problems.append(
                f"topic {name} keeps {real} of {expected} wanted copies of each record: add replicas with"
                " kafka-reassign-partitions, or set TIDEMARK_REPLICATION if fewer will do"
            )
        settings = told.get(name, {})
        least = int(settings.get("min.insync.replicas", 1))
        if least < in_sync(kafka, topic, min(up, real)):
            problems.append(
                f"topic {name} has min.insync.replicas={least}, its record says {topic.min_insync}: what is acknowledged"
                " can be lost with one broker; set it with kafka-configs"
            )
        if real > 1 and least >= real:
            problems.append(
                f"topic {name} has min.insync.replicas={least} and {real} copies: with one broker away nothing can be written"
            )
        if settings.get("unclean.leader.election.enable") == "true":
            problems.append(
                f"topic {name} has unclean.leader.election.enable=true: a copy that lacks what was acknowledged may become its"
                " leader; set it to false with kafka-configs"
            )
    return problems


async def of_brokers(kafka: KafkaSettings) -> list[str]:
    """
    Return which topics of the brokers themselves have too few copies: the files that come with Kafka say one.

    Brokers make them with the first use, and never change them again. What this process may not see is passed by.
    """
    async with admin(kafka) as client:
        wanted = kafka.replication or min(_COPIES, await brokers(client))
        there = sorted(_KEPT_BY_BROKERS.keys() & set(await client.list_topics()))
        described = [found for found in await client.describe_topics(there) if found["partitions"]] if there else []
        try:
            told = await configs(client, [found["topic"] for found in described])
        except Misfit:
            told = {}
    problems = []
    for found in described:
        name = found["topic"]
        real = min(len(partition["replicas"]) for partition in found["partitions"])
        if real < wanted:
            problems.append(
                f"topic {name} of the brokers keeps {real} of {wanted} wanted copies: if the broker with one of its partitions is"
                f" lost, part of the lanes can no longer commit; set {_KEPT_BY_BROKERS[name]}.replication.factor={wanted} on the"
                " brokers, and add replicas with kafka-reassign-partitions"
            )
        least = told.get(name, {}).get("min.insync.replicas")
        if name == "__transaction_state" and least and int(least) < max(1, min(real, wanted) - 1):
            problems.append(
                f"topic {name} of the brokers has min.insync.replicas={least}: what is committed can be lost with one broker; set"
                f" {_KEPT_BY_BROKERS[name]}.min.isr on the brokers, and min.insync.replicas of the topic with kafka-configs"
            )
    return problems
