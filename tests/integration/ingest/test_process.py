"""The process as it is run: its configuration, its start, and how it leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from schemas import codec
from services.shared.kafka import clients
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from tests.support.keys import entry

pytestmark = pytest.mark.integration


async def start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.ingest",
        *arguments,
        env=os.environ | environment,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_missing_write_keys_file_is_a_configuration_error(tmp_path: Path) -> None:
    process = await start("--check-config", TIDEMARK_WRITE_KEYS_FILE=str(tmp_path / "missing"))
    _, said = await process.communicate()

    assert process.returncode == 2
    assert b"TIDEMARK_WRITE_KEYS_FILE" in said


async def test_on_sigterm_it_answers_what_it_has_and_leaves(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(entry("wk", "web"))
    port = free_port()
    process = await start(
        KAFKA_BOOTSTRAP_SERVERS=kafka_settings.bootstrap_servers,
        TIDEMARK_TOPIC_PREFIX=kafka_settings.topic_prefix,
        TIDEMARK_PARTITIONS=str(kafka_settings.partitions),
        TIDEMARK_HTTP_PORT=str(port),
        TIDEMARK_WRITE_KEYS_FILE=str(keys),
    )
    acknowledged: set[str] = set()
    cut: list[str] = []

    async def client(http: httpx.AsyncClient, name: str) -> None:
        for number in range(100_000):
            event = {"event": "x", "userId": "u", "groupId": name, "messageId": f"{name}-{number}"}
            try:
                answer = await http.post("/v1/track", json=event)
            except httpx.ConnectError:
                return
            except httpx.TransportError as error:
                cut.append(repr(error))
                return
            if answer.status_code == 200:
                acknowledged.add(event["messageId"])

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=("wk", "")) as http:
        async with asyncio.timeout(30):
            while True:
                try:
                    if (await http.get("/readyz")).status_code == 200:
                        break
                except httpx.ConnectError:
                    await asyncio.sleep(0.02)
        senders = [asyncio.create_task(client(http, f"c{n}")) for n in range(8)]
        async with asyncio.timeout(30):
            while len(acknowledged) < 300:
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        await asyncio.gather(*senders)

    consumer = clients.consumer(kafka_settings, "usage-events")
    await consumer.start()
    stored: set[str] = set()
    async with asyncio.timeout(20):
        while not acknowledged <= stored:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                stored.update(codec.decode(record.value)[1]["event_id"] for record in records)
    await consumer.stop()
    # An idle kept-alive connection may be closed just as its next request is written; that request was not taken.
    assert len(stored - acknowledged) <= len(cut)
