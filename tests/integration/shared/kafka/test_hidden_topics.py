"""A topic or a group that the cluster hides from a user, or its settings, is told apart from one that does not exist or differs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.protocol.admin import CreateAclsRequest

from schemas.topics import INSTALLATION, TOPICS
from services.shared.engine.errors import FailStop
from services.shared.engine.fold.transaction import Transaction
from services.shared.engine.kafka.changelog import bounds
from services.shared.engine.kafka.cluster import learn
from services.shared.engine.kafka.writer import LaneWriter
from services.shared.engine.position import Position
from services.shared.engine.processor import Output
from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker.membership import Membership
from services.shared.errors import Misfit
from services.shared.kafka import replication, topics
from services.shared.kafka.asking import until_answered
from services.shared.kafka.clients import admin
from services.shared.kafka.embedded import broker as embedded
from services.shared.kafka.embedded import broker_config
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.watch import ClusterWatch
from services.shared.settings import ProcessSettings, load
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, GROUP, OUT, SOURCE, trial
from tests.support.waiting import until

pytestmark = pytest.mark.integration

_TOPIC, _GROUP, _LITERAL = 2, 3, 3
_DENY, _ALLOW = 2, 3
_WRITE, _DESCRIBE, _DESCRIBE_CONFIGS = 4, 8, 10
WANTED = [TOPICS["usage-events"], TOPICS["dead-letters"]]


@pytest.fixture
async def cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[KafkaSettings, KafkaSettings]]:
    """A cluster with `usage-events`, as its operator reaches it and as a user does."""
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
        await topics.create(operator, WANTED[:1])
        yield operator, user
    finally:
        await asyncio.to_thread(broker.stop)


async def rule(
    operator: KafkaSettings, operation: int, permission: int, kind: int = _TOPIC, name: str = "usage-events"
) -> None:
    async with admin(operator) as client:
        made = CreateAclsRequest(kind, name, _LITERAL, "User:svc", "*", operation, permission)
        await client._send_request(made)


async def test_it_is_named_as_hidden_and_nobody_is_told_to_create_it(
    cluster: tuple[KafkaSettings, KafkaSettings],
) -> None:
    operator, user = cluster
    await rule(operator, _DESCRIBE, _DENY)
    watch = ClusterWatch(user, 120.0, every_s=0.2)
    watching = asyncio.create_task(watch.run({"usage-events": 1, INSTALLATION: 1}))
    await until(lambda: "does not let this process see topic usage-events" in str(watch.not_ready()), 30)
    watching.cancel()

    hidden, absent = await topics.misfits(user, WANTED)

    assert "does not let this process see topic usage-events" in hidden
    assert "topic dead-letters does not exist: run `tidemark topics create`" in absent


async def test_settings_that_may_not_be_seen_are_named_as_hidden_and_are_no_difference(
    cluster: tuple[KafkaSettings, KafkaSettings],
) -> None:
    operator, user = cluster
    assert await topics.check(user, WANTED[:1]) == []
    await rule(operator, _DESCRIBE, _ALLOW)  # else the topic as a whole is hidden once there is any rule

    async def hidden() -> bool:
        return "see the settings of" in str(await topics.check(user, WANTED[:1]))

    await until(hidden, 30)
    said = "the cluster does not let this process see the settings of topic usage-events: give it the right DescribeConfigs"
    for problems in (await topics.check(user, WANTED[:1]), await replication.check(user, WANTED[:1])):
        assert [problem.partition(" (")[0] for problem in problems] == [said]
    with pytest.raises(Misfit, match=said):
        await learn(user, [counting_spec("usage-events", "changelog", "out", "dead")])


async def test_a_group_that_is_hidden_is_named_and_not_asked_for_ever(
    cluster: tuple[KafkaSettings, KafkaSettings], tmp_path: Path
) -> None:
    operator, user = cluster
    # A new cluster makes the topic of offsets first.
    found = await until_answered(user, lambda: bounds(user, "scorer", "usage-events", 0))
    assert found.committed is None
    await rule(operator, _DESCRIBE, _DENY, _GROUP, "scorer")

    async def told() -> str:
        try:
            await bounds(user, "scorer", "usage-events", 0)
        except Misfit as error:
            return str(error)
        return ""

    await until(told, 30)
    assert "does not let this process use group scorer: give it the rights in docs/operating.md" in await told()
    worker = Membership(user, "scorer", EngineSettings(), ProcessSettings(data_dir=tmp_path / "data"))
    worker.take()
    with pytest.raises(Misfit, match="does not let this process use group scorer"):
        async with asyncio.timeout(10):
            await worker.wait_until_free()


async def test_a_topic_that_may_not_be_written_any_more_is_named_by_the_transaction_that_fails(
    cluster: tuple[KafkaSettings, KafkaSettings],
) -> None:
    """What was sent to the topics beside it fails first, with an error that says nothing of rights."""
    operator, user = cluster
    async with trial(operator.bootstrap_servers, partitions=1) as log:
        kafka = user.model_copy(update={"topic_prefix": log.kafka.topic_prefix})
        await rule(operator, _WRITE, _DENY, name=log.scoped(OUT))
        spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD)

        async def told() -> str:
            writer = LaneWriter(kafka, GROUP, spec, 0, limits={}, partitions={}, timeout_s=15.0)
            await until_answered(user, writer.start)
            try:
                await writer.write(
                    Transaction(Position(1), changes={("counts", b"a"): b"1"}, outputs=[Output(OUT, b"k", b"w")])
                )
            except FailStop as failed:
                return str(failed)
            finally:
                await writer.close()
            return ""

        await until(told, 30)
        assert re.search(f"failed: TopicAuthorizationFailedError: .*{log.scoped(OUT)}", await told())
