"""An outage of the broker shows in readiness, then in liveness, and fills nobody's disk with log lines."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.shared.kafka import topics
from services.shared.kafka.embedded import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess

pytestmark = pytest.mark.integration

_OUTAGE_S = 10.0
_LINES = 120
"""In ten seconds and until the probes have said it. Seen before: 10,504 in 30 s."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path / "kafka")
    broker.start()
    yield broker
    broker.stop()


async def test_a_broker_that_is_away_is_seen_from_outside_and_is_a_page_of_log(
    node: EmbeddedBroker, tmp_path: Path
) -> None:
    kafka = KafkaSettings(bootstrap_servers=node.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:12]}-", partitions=4)
    await topics.create(kafka)
    (tmp_path / "keys.yaml").write_text(entry("key", "web"))
    services = [
        ServiceProcess(
            name,
            kafka,
            tmp_path,
            TIDEMARK_WRITE_KEYS_FILE=str(tmp_path / "keys.yaml"),
            TIDEMARK_LIVENESS_S="10",
            TIDEMARK_ENGINE_TRANSACTION_TIMEOUT_S="60",
        )
        for name in ("ingest", "warehouse", "scorer", "alerter")
    ]
    for service in services:
        await service.start()
    async with asyncio.timeout(120):
        while not all([await service.ready() for service in services]):
            await asyncio.sleep(0.1)
    scorer = services[2]
    async with asyncio.timeout(60):  # a transaction that is cut off ends its process, which is another test's matter
        while await _committed(scorer) < kafka.partitions:
            await asyncio.sleep(0.1)
    before = {service.name: _lines(service) for service in services}

    node.kill()
    loop = asyncio.get_running_loop()
    ends = loop.time() + _OUTAGE_S
    async with httpx.AsyncClient(auth=("key", ""), timeout=20) as client:
        while loop.time() < ends:
            call = {"userId": "u", "event": "e", "properties": {"account": "a"}}
            await client.post(f"http://127.0.0.1:{services[0].port}/v1/track", json=call)
            await asyncio.sleep(0.1)
        for service in services[1:]:
            for probe in ("readyz", "healthz"):
                async with asyncio.timeout(30):
                    while (said := await client.get(f"http://127.0.0.1:{service.port}/{probe}")).status_code != 503:
                        await asyncio.sleep(0.1)
                assert "no Kafka broker has answered" in said.text, (service.name, probe)
                assert f"nothing listens at {node.bootstrap}" in said.text, (service.name, probe)
    told = {service.name: _lines(service) - before[service.name] for service in services}
    for service in services:
        await service.kill()

    assert all(0 < lines <= _LINES for lines in told.values()), (told, services[0].log.read_text()[-4000:])


def _lines(service: ServiceProcess) -> int:
    return len(service.log.read_text("utf-8").splitlines())


async def _committed(scorer: ServiceProcess) -> int:
    """Return how many lanes of usage-events have committed their first tick."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{scorer.port}/metrics")).text
    wanted = 'topic="usage-events"}'
    lines = [
        line for line in text.splitlines() if line.startswith("tidemark_engine_transactions_total") and wanted in line
    ]
    return sum(float(line.rpartition(" ")[2]) > 0 for line in lines)
