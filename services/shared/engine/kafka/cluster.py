"""What the cluster says about the topics of some lanes, and whether lanes can run on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.topics import TOPICS
from services.shared.counts import counted
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.errors import Misfit
from services.shared.kafka import topics
from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topic_configs import configs


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is known of topics, by name without prefix."""

    partitions: dict[str, int]
    """How many each topic has that the lanes read or write."""
    limits: dict[str, int]
    """The largest record in bytes that each topic takes, also those that the lanes do not use."""


async def learn(kafka: KafkaSettings, specs: Iterable[LaneSpec]) -> Cluster:
    """
    Ask the cluster about the topics of the specs and all topics of schemas/topics.

    Raises:
        Misfit: a topic is missing, or has another number of partitions than the data was written under; a changelog has
            another number of partitions than its source, or is not compacted; or two source topics share a changelog; or
            a contiguous source is compacted, or has no append times; or a topic that the lanes write takes less than its
            record says.
        UnknownTopicOrPartitionError: the brokers do not agree on what topics there are; it passes.
    """
    specs = list(specs)
    needed = {name for spec in specs for name in (spec.topic, *spec.stores.values(), *spec.outputs)}
    # First: it waits for what a broker that has just started does not know yet.
    recorded = sorted(needed & TOPICS.keys())
    problems = await topics.misfits(kafka, [TOPICS[name] for name in recorded]) if recorded else []
    async with admin(kafka) as client:
        present = set(await client.list_topics())
        names = {name: kafka.scoped(name) for name in needed | TOPICS.keys() if kafka.scoped(name) in present}
        described = await client.describe_topics(list(names.values()))
        found = await configs(client, list(names.values()))
    short = {full: name for name, full in names.items()}
    counts = {short[topic["topic"]]: len(topic["partitions"]) for topic in described}
    settings = {short[name]: entries for name, entries in found.items()}
    limits = {name: int(entries["max.message.bytes"]) for name, entries in settings.items()}
    problems += [
        f"topic {kafka.scoped(name)} does not exist: run `tidemark topics create`"
        for name in sorted(needed - counts.keys() - TOPICS.keys())
    ]
    policies = {name: entries["cleanup.policy"] for name, entries in settings.items()}
    problems += _unequal(specs, counts) + _shared(specs) + _expiring(specs, policies)
    problems += _no_log(kafka, specs, settings) + _lowered(kafka, specs, limits)
    if problems:
        raise Misfit(problems)
    if absent := sorted(needed - counts.keys()):  # another broker knows them
        raise UnknownTopicOrPartitionError(f"a broker does not know {', '.join(map(kafka.scoped, absent))} yet")
    return Cluster({name: counts[name] for name in needed}, limits)


def _unequal(specs: list[LaneSpec], counts: dict[str, int]) -> list[str]:
    return [
        f"changelog {changelog} has {counted(counts[changelog], 'partition')} and its source {spec.topic} has {counts[spec.topic]}:"
        " each lane needs its own"
        for spec in specs
        for changelog in spec.stores.values()
        if changelog in counts and spec.topic in counts and counts[changelog] != counts[spec.topic]
    ]


def _expiring(specs: list[LaneSpec], policies: dict[str, str]) -> list[str]:
    return [
        f"changelog {changelog} has cleanup.policy={policies[changelog]}: the state of an account that does not change expires."
        " Set it to compact again (`tidemark topics check` names what else differs); lanes that have lost state stop and say so"
        for spec in specs
        for changelog in spec.stores.values()
        if policies.get(changelog, "compact") != "compact"
    ]


def _no_log(kafka: KafkaSettings, specs: list[LaneSpec], settings: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Name the contiguous sources that have become something else than a log with the times of its brokers."""
    problems = []
    for spec in specs:
        if spec.mode is not SourceMode.CONTIGUOUS or spec.topic not in TOPICS.keys() & settings.keys():
            continue
        entries, name = settings[spec.topic], kafka.scoped(spec.topic)
        if "compact" in (policy := entries["cleanup.policy"]):
            problems.append(
                f"topic {name} has cleanup.policy={policy}: Kafka deletes all but the last record of each key, and takes none without"
                " a key, as all are that move the clock. Set it to delete with kafka-configs, at once"
            )
        if (kind := entries["message.timestamp.type"]) != "LogAppendTime":
            problems.append(
                f"topic {name} has message.timestamp.type={kind}: one wrong clock of a machine that writes would move log time. Set"
                " it to LogAppendTime with kafka-configs"
            )
    return problems


def _lowered(kafka: KafkaSettings, specs: list[LaneSpec], limits: dict[str, int]) -> list[str]:
    """Name the topics that take less than they should: what does not fit would be dead-lettered, though nothing is wrong with it."""
    written = {name for spec in specs for name in (*spec.stores.values(), *spec.outputs)}
    return [
        f"topic {kafka.scoped(name)} has max.message.bytes={limits[name]}, its record says {TOPICS[name].max_message_bytes}:"
        " set it back with kafka-configs"
        for name in sorted(written & TOPICS.keys() & limits.keys())
        if limits[name] < TOPICS[name].max_message_bytes
    ]


def _shared(specs: list[LaneSpec]) -> list[str]:
    owners: dict[str, list[str]] = {}
    for spec in specs:
        for changelog in spec.stores.values():
            owners.setdefault(changelog, []).append(spec.topic)
    return [
        f"changelog {changelog} is shared by {' and '.join(topics)}: one's open transaction would hide the other's state"
        for changelog, topics in sorted(owners.items())
        if len(topics) > 1
    ]
