"""The settings of an embedded broker, alone or one of several, each with its reason."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Node(NamedTuple):
    """One node: broker and controller at once, on the loopback interface."""

    id: int
    port: int
    """For clients and for the other brokers."""
    controller_port: int


class Quorum(NamedTuple):
    """The nodes of one cluster; its id is written into the folder of each."""

    cluster: str
    nodes: tuple[Node, ...]

    @property
    def bootstrap(self) -> str:
        """The addresses for clients."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)


def new_id() -> str:
    """Return an id of a cluster or a folder, as Kafka makes them."""
    made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return "A" + made[1:] if made.startswith("-") else made  # would be read as an option


def server_properties(log: Path, own: Node, nodes: Sequence[Node]) -> str:
    """Return the configuration file of one of the nodes; three or more keep each record three times."""
    replicas = min(3, len(nodes))
    in_sync = 2 if replicas == 3 else 1
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": own.id,
        "controller.quorum.voters": ",".join(f"{node.id}@127.0.0.1:{node.controller_port}" for node in nodes),
        "listeners": f"PLAINTEXT://127.0.0.1:{own.port},CONTROLLER://127.0.0.1:{own.controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{own.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": log,
        # A topic exists because its record says so, never because of a misspelt name.
        "auto.create.topics.enable": "false",
        "log.message.timestamp.type": "LogAppendTime",
        # One node: nothing to replicate to. Few partitions of the inner topics: each costs files and start time.
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "unclean.leader.election.enable": "false",
        # A broker that is back leads again within seconds, not after five minutes: nobody here waits so long.
        "leader.imbalance.check.interval.seconds": 5,
        "leader.imbalance.per.broker.percentage": 0,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 1,
        # Development waits for nobody: no pause for late group members, short sessions allowed.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        # After a kill the controller refuses the new broker until the former's session has passed.
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
        # A cluster in which nothing happens notes so ten times less often: a quarter of what a broker at rest computes.
        "metadata.max.idle.interval.ms": 5000,
        # A lane's transactions time out at 15 s; a killed one is settled within a second of that.
        "transaction.max.timeout.ms": 120_000,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        # Of the whole process, beside a heap of a few hundred MB.
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "log.cleaner.backoff.ms": 5000,
        "log.index.size.max.bytes": 2 * 1024 * 1024,
        "log.segment.delete.delay.ms": 1000,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "num.recovery.threads.per.data.dir": 2,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
