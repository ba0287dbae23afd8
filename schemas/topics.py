"""
The Kafka topics of Tidemark, read from `topics/<topic>.yaml`: the one record of each.

Code, documents and tests take names, partitions, retention and limits from here and from nowhere else. A file
with a wrong type or a member that is not known does not load: the import fails and says where. A topic's name is a
constant here; a test compares the constants with the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from schemas.named_records import read_folder

ROOT = Path(__file__).parent / "topics"

USAGE_EVENTS = "usage-events"
USAGE_UNATTRIBUTED = "usage-unattributed"
USAGE_DETAILS = "usage-details"
USAGE_REJECTED = "usage-rejected"
DEAD_LETTERS = "dead-letters"
ACCOUNT_HEALTH = "account-health"
ACCOUNT_HEALTH_LATEST = "account-health-latest"
FLEET_PARTIALS = "fleet-partials"
FLEET = "fleet"
RISK_SIGNALS = "risk-signals"
EXPANSION_SIGNALS = "expansion-signals"
OPEN_SIGNALS = "open-signals"
BACKFILL_PROGRESS = "backfill-progress"
INSTALLATION = "installation"
SCORER_USAGE_EVENTS_STATE = "scorer-usage-events-state"
SCORER_USAGE_EVENTS_IDS = "scorer-usage-events-ids"
SCORER_USAGE_UNATTRIBUTED_STATE = "scorer-usage-unattributed-state"
SCORER_USAGE_UNATTRIBUTED_IDS = "scorer-usage-unattributed-ids"
SCORER_FLEET_PARTIALS_STATE = "scorer-fleet-partials-state"
ALERTER_ACCOUNT_HEALTH_STATE = "alerter-account-health-state"


class Carried(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One Avro record that a topic carries as value. Examples are paths relative to the `schemas` folder."""

    record: str
    versions: list[int]
    examples: list[str]


class Topic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One topic. Its name is without the prefix of a deployment."""

    name: str
    owner: str
    """Who writes it and answers for it: one of our services."""
    description: str
    key: str
    """What the record key is, in words."""
    partitions: Literal["shared"] | int
    """shared: as many as every other shared topic of the deployment, so that accounts stay in their lane."""
    replication: int
    """Copies of each partition, on a cluster that has as many brokers."""
    min_insync: int
    """Copies that have a record before it is acknowledged (min.insync.replicas), on such a cluster."""
    cleanup: Literal["delete", "compact"]
    retention_ms: int
    """-1: never deleted by age."""
    read_as: Literal["contiguous", "transactional"]
    """
    contiguous: neither written in transactions nor compacted, so a gap in the offsets is an error. transactional: gaps are
    normal, and readers need isolation.level=read_committed.
    """
    encoding: Literal["avro", "state"] = "avro"
    """state: bytes that only the lane which wrote them reads."""
    config: dict[str, str]
    """Further topic configuration, by Kafka's names."""
    records: list[Carried] = []

    @property
    def max_message_bytes(self) -> int:
        """Return the largest record batch that the topic takes, in bytes."""
        return int(self.config["max.message.bytes"])

    @property
    def kafka_config(self) -> dict[str, str]:
        """Return the whole configuration to create the topic with, by Kafka's names."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            # By age alone: a bound by size of the brokers (log.retention.bytes) would delete what is still to be read.
            "retention.bytes": "-1",
            **self.config,
        }


TOPICS: dict[str, Topic] = {topic.name: topic for topic in read_folder(ROOT, Topic)}
"""Every topic, by name."""

SINGLE_PARTITION = frozenset(topic.name for topic in TOPICS.values() if topic.partitions == 1)
