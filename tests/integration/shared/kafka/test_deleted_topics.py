"""A topic that somebody deleted is named by every process that needs it, while it runs and when it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

import httpx
import pytest

from schemas.topics import TOPICS
from services.shared import exit_status
from services.shared.kafka import topics
from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

NEEDED = {
    "ingest": "usage-details",
    "scorer": "account-health-latest",
    "alerter": "open-signals",
    "warehouse": "expansion-signals",
}
"""One topic that each service reads or writes, and does not miss as long as it has nothing to do with it."""


def service(name: str, kafka: KafkaSettings, folder: Path) -> ServiceProcess:
    (folder / name).mkdir()
    keys = folder / name / "keys.yaml"
    keys.write_text(entry("key", "web"))
    return ServiceProcess(name, kafka, folder / name, TIDEMARK_WRITE_KEYS_FILE=str(keys))


async def delete(kafka: KafkaSettings, names: Collection[str]) -> None:
    await topics.delete(kafka, [TOPICS[name] for name in names])
    async with admin(kafka) as client:

        async def gone() -> bool:
            return not {kafka.scoped(name) for name in names} & set(await client.list_topics())

        await until(gone, 30)


async def said(process: ServiceProcess) -> str:
    async with httpx.AsyncClient() as client:
        return str((await client.get(f"http://127.0.0.1:{process.port}/readyz")).json().get("reason"))


async def test_each_process_names_a_topic_that_is_gone_and_goes_on_once_it_is_back(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    processes = [service(name, kafka_settings, tmp_path) for name in NEEDED]
    try:
        for process in processes:
            await process.start()
        for process in processes:
            await until(process.ready, 90)

        await delete(kafka_settings, NEEDED.values())

        for process in processes:
            name = kafka_settings.scoped(NEEDED[process.name])

            async def named(process: ServiceProcess = process, name: str = name) -> bool:
                return f"topic {name} does not exist: run `tidemark topics create`" in await said(process)

            await until(named, 60, process.log.read_text)

        await topics.create(kafka_settings)

        for process in processes:
            await until(process.ready, 60, process.log.read_text)
    finally:
        await asyncio.gather(*(process.kill() for process in processes))


async def test_nobody_starts_without_a_topic_that_it_will_write(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    await delete(kafka_settings, [NEEDED["scorer"], NEEDED["alerter"]])

    for name in ("scorer", "alerter"):
        process = service(name, kafka_settings, tmp_path)
        await process.start()
        assert process.process is not None
        async with asyncio.timeout(60):
            assert await process.process.wait() == exit_status.REFUSED
        assert f"topic {kafka_settings.scoped(NEEDED[name])} does not exist" in process.log.read_text()
