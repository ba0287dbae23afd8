"""A cluster that creates a topic for whoever names one, as brokers do by default: Tidemark asks without creating any."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import TOPICS
from services.shared.kafka import topics
from services.shared.kafka.clients import admin
from services.shared.kafka.embedded import broker as embedded
from services.shared.kafka.embedded import broker_config
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.watch import ClusterWatch
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def test_a_topic_that_does_not_exist_is_named_and_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = broker_config.server_properties

    def creating(*given: Any) -> str:
        return usual(*given).replace("auto.create.topics.enable=false", "auto.create.topics.enable=true")

    monkeypatch.setattr(embedded, "server_properties", creating)
    broker = EmbeddedBroker(tmp_path)
    await asyncio.to_thread(broker.start)
    try:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap, partitions=2)
        await topics.create(kafka, [TOPICS["usage-events"]])

        problems = await topics.misfits(kafka, [TOPICS["usage-events"], TOPICS["dead-letters"]])
        watch = ClusterWatch(kafka, 120.0, every_s=0.2)
        watching = asyncio.create_task(watch.run({"usage-events": 2, "dead-letters": 2}))
        await until(lambda: "dead-letters does not exist" in str(watch.not_ready()), 30)
        watching.cancel()

        assert await topics.made_by_brokers(kafka)
        assert problems == ["topic dead-letters does not exist: run `tidemark topics create`"]
        async with admin(kafka) as client:
            assert "dead-letters" not in await client.list_topics()
    finally:
        await asyncio.to_thread(broker.stop)
