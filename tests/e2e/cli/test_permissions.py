"""All services and the tool work with the permissions that docs/operating.md lists, and with no others."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.protocol.admin import CreateAclsRequest

from services.shared.kafka.clients import admin
from services.shared.kafka.embedded import broker as embedded
from services.shared.kafka.embedded import broker_config
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from services.shared.ports import PORTS
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]

_PREFIX = "mine."
_USERS = (*PORTS, "tool")
_TOPIC, _GROUP, _CLUSTER, _TRANSACTION = 2, 3, 4, 5
_LITERAL, _PREFIXED, _ALLOW = 3, 4, 3
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_FOR_THE_CLUSTER = {"Create", "Describe", "DescribeConfigs"}
_KEY = "tmk_" + "k" * 40


def resources(what: str) -> Iterator[tuple[int, str, int]]:
    """The type, name and kind of pattern of each resource that one part of a row names."""
    if what.startswith("everything"):
        yield from ((kind, _PREFIX, _PREFIXED) for kind in (_TOPIC, _GROUP, _TRANSACTION))
        yield _CLUSTER, "kafka-cluster", _LITERAL
    elif what == "the cluster":
        yield _CLUSTER, "kafka-cluster", _LITERAL
    elif what.startswith("all topics"):
        yield _TOPIC, _PREFIX, _PREFIXED
    else:
        kind = _GROUP if what.startswith("group") else _TRANSACTION if what.startswith("transactional") else _TOPIC
        for name in re.findall(r"`([^`]+)`", what):
            pattern = _PREFIXED if kind == _TRANSACTION or name.endswith("*") else _LITERAL
            yield kind, _PREFIX + name.rstrip("*"), pattern


def listed(project_root: Path) -> Iterator[tuple[str, int, str, int, int]]:
    """What the table grants: user, type, name and kind of pattern, operation."""
    text = (project_root / "docs/operating.md").read_text("utf-8")
    section = text.partition("\n## Permissions\n")[2].partition("\n## ")[0]
    for who, what, operations in re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)[1:]:
        principal = who.partition(",")[0].removeprefix("the ")
        for part, given in zip(what.split("; "), operations.split("; "), strict=operations.count(";") > 0):
            for kind, name, pattern in resources(part):
                for operation in given.split(", "):
                    if kind != _CLUSTER or operation in _FOR_THE_CLUSTER:
                        for user in _USERS if principal == "all" else (principal,):
                            yield user, kind, name, pattern, _OPERATIONS[operation]


@pytest.fixture
async def users(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, dict[str, str]]]:
    """The environment of each user of a cluster that allows what is listed, and nothing else."""
    port = free_port()

    def with_users(*given: Any) -> str:
        lines = dict(line.partition("=")[::2] for line in broker_config.server_properties(*given).splitlines())
        for name in ("listeners", "advertised.listeners"):
            lines[name] += f",USERS://127.0.0.1:{port}"
        lines["listener.security.protocol.map"] += ",USERS:SASL_PLAINTEXT"
        passwords = " ".join(f'user_{name}="pw"' for name in _USERS)
        lines |= {
            "sasl.enabled.mechanisms": "PLAIN",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "listener.name.users.plain.sasl.jaas.config": (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {passwords};"
            ),
        }
        return "".join(f"{name}={value}\n" for name, value in lines.items())

    monkeypatch.setattr(embedded, "server_properties", with_users)
    broker = EmbeddedBroker(tmp_path / "broker")
    await asyncio.to_thread(broker.start)
    try:
        async with admin(KafkaSettings(bootstrap_servers=broker.bootstrap)) as client:
            for user, kind, name, pattern, operation in listed(project_root):
                answer = await client._send_request(
                    CreateAclsRequest(kind, name, pattern, f"User:{user}", "*", operation, _ALLOW)
                )
                assert [code for code, _ in answer.creation_responses] == [0], answer
        yield {
            user: {
                "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
                "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
                "KAFKA_SASL_USERNAME": user,
                "KAFKA_SASL_PASSWORD": "pw",
                "TIDEMARK_TOPIC_PREFIX": _PREFIX,
                "TIDEMARK_PARTITIONS": "2",
                "TIDEMARK_PSEUDONYM_KEY": "5e" * 32,
            }
            for user in _USERS
        }
    finally:
        await asyncio.to_thread(broker.stop)


def tool(environment: dict[str, str], *words: str) -> str:
    """Run the tool; return its output."""
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *words],
        env=os.environ | environment, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_an_event_reaches_the_store_and_the_tool_answers(
    users: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    keys, aliases, users_file, past = (
        tmp_path / name for name in ("keys.yaml", "accounts.yaml", "users.csv", "past.csv")
    )
    keys.write_text(entry(_KEY, "app", backfill=True))
    aliases.write_text("aliases: {acme-old: acme}\n")
    users_file.write_text("user,account\nbob,acme\n")
    past.write_text("account,user,timestamp,event\nacme,ada,2026-11-01T10:00:00Z,Login\n")
    files = {"TIDEMARK_WRITE_KEYS_FILE": str(keys), "TIDEMARK_ACCOUNTS_FILE": str(aliases)}
    own = users["tool"] | files | {"TIDEMARK_BACKFILL_KEY": _KEY}
    await asyncio.to_thread(tool, own, "topics", "create")
    settings = KafkaSettings(topic_prefix=_PREFIX, partitions=2)
    services = {name: ServiceProcess(name, settings, tmp_path, **users[name], **files) for name in PORTS}
    own |= {f"TIDEMARK_{name.upper()}_URL": f"http://127.0.0.1:{each.port}" for name, each in services.items()}
    event = {"userId": "ada", "event": "Report Shared", "context": {"groupId": "acme"}}
    try:
        for service in services.values():
            await service.start()
        for service in services.values():
            await until(service.ready, 90, lambda service=service: service.log.read_text()[-3000:])  # type: ignore[misc]
        async with httpx.AsyncClient(timeout=10) as client:
            sent = await client.post(f"{own['TIDEMARK_INGEST_URL']}/v1/track", auth=(_KEY, ""), json=event)
            assert sent.status_code == httpx.codes.OK, sent.text
            refused = await client.post(f"{own['TIDEMARK_INGEST_URL']}/v1/track", auth=(_KEY, ""), json={"userId": "a"})
            assert refused.status_code < httpx.codes.INTERNAL_SERVER_ERROR, refused.text

            async def judged() -> bool:
                found = await client.get(f"{own['TIDEMARK_WAREHOUSE_URL']}/v1/accounts/acme")
                text = await services["alerter"].metrics()
                counted = re.search(r"^tidemark_alerter_snapshots_evaluated_total ([\d.]+)", text, re.MULTILINE)
                return (
                    found.is_success and bool(found.json()["health"]) and counted is not None and float(counted[1]) > 0
                )

            await until(judged, 90, lambda: "\n".join(each.log.read_text()[-2000:] for each in services.values()))
        for words in (
            ("topics", "check"), ("status",), ("ledger",), ("clock", "show"), ("accounts", "unresolved"),
            ("accounts", "quarantined"), ("rejected", "list"), ("explain", "acme"), ("doctor",), ("signals", "held"),
            ("accounts", "apply", str(aliases)), ("accounts", "resolve", str(users_file)),
            ("backfill", str(past), "--event", "event"), ("erase", "--user", "ada", "--yes"),
        ):  # fmt: skip
            await asyncio.to_thread(tool, own, *words)
        logs = {name: each.log.read_text("utf-8") for name, each in services.items()}
    finally:
        for service in services.values():
            if service.process is not None:
                await service.kill()

    assert {name: text for name, text in logs.items() if "uthoriz" in text} == {}
