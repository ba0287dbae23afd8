"""An outage of the broker shows in readiness, then in liveness, and fills nobody's disk with log lines."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.topics import USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.shared.kafka import topics
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.long]

_TICKED = (USAGE_EVENTS, USAGE_UNATTRIBUTED)
_OUTAGE_S = 10.0
_LINES = 120
"""In ten seconds and until the probes have said it. Seen before: 10,504 in 30 s."""


async def test_a_broker_that_is_away_is_seen_from_outside_and_is_a_page_of_log(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    kafka = KafkaSettings(
        bootstrap_servers=own_broker.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:12]}-", partitions=4
    )
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
    async with contextlib.AsyncExitStack() as running:
        for service in services:
            await service.start()
            running.push_async_callback(service.kill)
        await _see_an_outage(own_broker, kafka, services)


async def _see_an_outage(node: EmbeddedBroker, kafka: KafkaSettings, services: list[ServiceProcess]) -> None:
    for service in services:
        await until(service.ready, 120)
    # A first transaction that is cut off may end its process, which is another test's matter.

    async def has_committed() -> bool:
        return await _committed(services[2]) >= kafka.partitions * len(_TICKED)

    await until(has_committed)
    before = {service.name: _lines(service) for service in services}

    node.kill()
    loop = asyncio.get_running_loop()
    ends = loop.time() + _OUTAGE_S
    async with httpx.AsyncClient(auth=("key", ""), timeout=20) as client:
        while loop.time() < ends:
            call = {"userId": "u", "event": "e", "properties": {"account": "a"}}
            await client.post(f"http://127.0.0.1:{services[0].port}/v1/track", json=call)
            await asyncio.sleep(0.1)  # the pace of the traffic during the outage
        for service in services[1:]:
            for probe in ("readyz", "healthz"):
                address = f"http://127.0.0.1:{service.port}/{probe}"

                async def refuses(address: str = address) -> bool:
                    """A lane that waits for its broker may be the reason before the cluster is."""
                    answer = await client.get(address)
                    why = ("Kafka has not answered", f"nothing listens at {node.bootstrap}")
                    return answer.status_code == 503 and all(part in answer.text for part in why)

                await until(refuses, 30, lambda: f"{service.name}, {probe}")  # noqa: B023
    told = {service.name: _lines(service) - before[service.name] for service in services}

    assert all(0 < lines <= _LINES for lines in told.values()), (told, services[0].log.read_text()[-4000:])


def _lines(service: ServiceProcess) -> int:
    return len(service.log.read_text("utf-8").splitlines())


async def _committed(scorer: ServiceProcess) -> int:
    """Return how many of the lanes that are ticked have committed their first tick; the next comes a minute later."""
    samples = [
        sample
        for family in text_string_to_metric_families(await scorer.metrics())
        for sample in family.samples
        if sample.name == "tidemark_engine_transactions_total" and sample.labels["topic"] in _TICKED
    ]
    return sum(sample.value > 0 for sample in samples)
