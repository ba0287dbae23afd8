"""The settings of the embedded broker, each with its reason."""

from __future__ import annotations

from pathlib import Path


def server_properties(log: Path, port: int, controller_port: int) -> str:
    """Return the configuration file of a single node that is broker and controller."""
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": log,
        # A topic exists because its record says so, never because of a misspelt name.
        "auto.create.topics.enable": "false",
        "log.message.timestamp.type": "LogAppendTime",
        # One node: nothing to replicate to. Few partitions of the inner topics: each costs files and start time.
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        # Development waits for nobody: no pause for late group members, short sessions allowed.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        # After a kill the controller refuses the new broker until the former's session has passed.
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
        # A lane's transactions time out at 15 s; a killed one is settled within a second of that.
        "transaction.max.timeout.ms": 120_000,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        # Of the whole process, beside a heap of 512 MB.
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
