"""A topic that the cluster hides from a user is told apart from one that does not exist."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka.protocol.admin import CreateAclsRequest

from schemas.topics import INSTALLATION, TOPICS
from services.shared.kafka import broker_config, topics
from services.shared.kafka.clients import admin
from services.shared.kafka.embedded import broker as embedded
from services.shared.kafka.embedded.broker import EmbeddedBroker, free_port
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.watch import ClusterWatch
from services.shared.settings import load
from tests.support.waiting import until

pytestmark = pytest.mark.integration

_TOPIC, _LITERAL, _DESCRIBE, _DENY = 2, 3, 8, 2


async def test_it_is_named_as_hidden_and_nobody_is_told_to_create_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()

    def with_users(*given: Any) -> str:
        text = broker_config.server_properties(*given)
        lines = dict(line.partition("=")[::2] for line in text.splitlines())
        for name in ("listeners", "advertised.listeners"):
            lines[name] += f",USERS://127.0.0.1:{port}"
        lines["listener.security.protocol.map"] += ",USERS:SASL_PLAINTEXT"
        lines |= {
            "sasl.enabled.mechanisms": "PLAIN",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
            "listener.name.users.plain.sasl.jaas.config": (
                'org.apache.kafka.common.security.plain.PlainLoginModule required user_svc="pw";'
            ),
        }
        return "".join(f"{name}={value}\n" for name, value in lines.items())

    monkeypatch.setattr(embedded, "server_properties", with_users)
    broker = EmbeddedBroker(tmp_path)
    await asyncio.to_thread(broker.start)
    try:
        operator = KafkaSettings(bootstrap_servers=broker.bootstrap, partitions=1)
        user = load(
            KafkaSettings, bootstrap_servers=f"127.0.0.1:{port}", partitions=1, security_protocol="SASL_PLAINTEXT",
            sasl_username="svc", sasl_password="pw",
        )  # fmt: skip
        wanted = [TOPICS["usage-events"], TOPICS["dead-letters"]]
        await topics.create(operator, wanted[:1])
        async with admin(operator) as client:
            hide = CreateAclsRequest(_TOPIC, "usage-events", _LITERAL, "User:svc", "*", _DESCRIBE, _DENY)
            await client._send_request(hide)
        watch = ClusterWatch(user, 120.0, every_s=0.2)
        watching = asyncio.create_task(watch.run({"usage-events": 1, INSTALLATION: 1}))
        await until(lambda: "does not let this process see topic usage-events" in str(watch.not_ready()), 30)
        watching.cancel()

        hidden, absent = await topics.misfits(user, wanted)

        assert "does not let this process see topic usage-events" in hidden
        assert "topic dead-letters does not exist: run `tidemark topics create`" in absent
    finally:
        await asyncio.to_thread(broker.stop)
