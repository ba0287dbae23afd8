"""Several workers on one port: all of them take events, and the death of one loses nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import httpx
import psutil
import pytest

from schemas import codec
from services.shared.kafka import clients
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = pytest.mark.integration

CLIENTS = 24
BEFORE, AFTER = 400, 800
"""Events acknowledged before a worker is killed, and in all."""
_PORTS = 21
"""The one that both workers share, and their own, ten and twenty above it."""


async def ready(port: int) -> int | None:
    """Return the process id of the worker whose own port this is, once it is ready."""
    try:
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{port}/readyz")
    except httpx.TransportError:
        return None
    return int(answer.json()["pid"]) if answer.status_code == 200 else None


async def taken(port: int) -> float:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    return sum(
        float(line.split()[-1]) for line in text.splitlines() if line.startswith("tidemark_ingest_events_total{")
    )


async def client(port: int, name: str, acknowledged: Counter[str], stop: asyncio.Event) -> None:
    """Send one event after another, each again until it is acknowledged, as SDKs do; a connection for every ten."""
    for number in range(100_000):
        if stop.is_set():
            return
        if number % 10 == 0:
            http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=("wk", ""), timeout=10)
        event = {"event": "x", "userId": "u", "groupId": name, "messageId": f"{name}-{number}"}
        while not stop.is_set():
            try:
                answer = await http.post("/v1/track", json=event)
            except httpx.TransportError:
                await asyncio.sleep(0.01)
                continue
            if answer.status_code == 200:
                acknowledged[event["messageId"]] += 1
                break
        if number % 10 == 9:
            await http.aclose()


async def test_killing_a_worker_loses_nothing_that_was_acknowledged(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(entry("wk", "web"))
    parent = ServiceProcess(
        "ingest", kafka_settings, tmp_path, TIDEMARK_INGEST_WORKERS="2", TIDEMARK_WRITE_KEYS_FILE=str(keys),
        TIDEMARK_HTTP_PORT=str(free_port(_PORTS)),
    )  # fmt: skip
    own = [parent.port + 10, parent.port + 20]
    await parent.start()
    pids: list[int | None] = []

    async def both() -> bool:
        pids[:] = [await ready(port) for port in own]
        return all(pids)

    await until(both, 60, lambda: parent.log.read_text()[-2_000:])
    assert len(set(pids)) == 2

    acknowledged: Counter[str] = Counter()
    stop = asyncio.Event()
    senders = [asyncio.create_task(client(parent.port, f"c{n}", acknowledged, stop)) for n in range(CLIENTS)]
    await until(lambda: len(acknowledged) >= BEFORE)

    async def all_take() -> bool:
        return min([await taken(port) for port in own]) > 0

    await until(all_take)
    victim = pids[0]
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    await until(lambda: len(acknowledged) >= AFTER)

    async def replaced() -> bool:
        return await ready(own[0]) not in (None, victim)

    await until(replaced, 60, lambda: parent.log.read_text()[-2_000:])
    before = await taken(own[0])

    async def works() -> bool:
        return await taken(own[0]) > before

    await until(works)
    assert parent.process is not None
    children = psutil.Process(parent.process.pid).children()
    assert await parent.stop() == 0
    assert not [child for child in children if child.is_running()]
    stop.set()
    await asyncio.gather(*senders)

    consumer = clients.consumer(kafka_settings, "usage-events")
    await consumer.start()
    stored: set[str] = set()
    async with asyncio.timeout(30):
        while not acknowledged.keys() <= stored:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                stored.update(codec.decode(record.value)[1]["event_id"] for record in records)
    await consumer.stop()


async def test_the_shared_port_has_no_metrics_and_says_where_they_are(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(entry("wk", "web", events_per_s=10, burst_s=2))
    more = {
        "TIDEMARK_INGEST_WORKERS": "2", "TIDEMARK_INGEST_WORKER": "1", "TIDEMARK_WRITE_KEYS_FILE": str(keys),
        "TIDEMARK_HTTP_PORT": str(free_port(_PORTS)),
    }  # fmt: skip
    worker = ServiceProcess("ingest", kafka_settings, tmp_path, **more)
    await worker.start()
    await until(lambda: ready(worker.port + 10), 60, lambda: worker.log.read_text()[-2_000:])

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{worker.port}") as http:
        metrics = await http.get("/metrics")
        event = {"event": "x", "userId": "u", "groupId": "g", "messageId": "1"}
        sent = await http.post("/v1/track", json=event, auth=("wk", ""))

    assert metrics.status_code == 404
    assert str(worker.port + 10) in metrics.json()["message"]
    assert sent.headers["x-ratelimit-limit"] == "10"  # its half
    assert await worker.stop() == 0


async def test_a_worker_that_cannot_run_as_it_is_configured_ends_all(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(entry("wk", "web"))
    missing = kafka_settings.model_copy(update={"topic_prefix": "there-are-no-such-topics-"})
    parent = ServiceProcess(
        "ingest", missing, tmp_path, TIDEMARK_INGEST_WORKERS="2", TIDEMARK_WRITE_KEYS_FILE=str(keys)
    )
    await parent.start()
    assert parent.process is not None

    assert await asyncio.wait_for(parent.process.wait(), 60) == 78
    assert "its log says why" in parent.log.read_text()


async def test_workers_need_a_port_that_is_known(tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(entry("wk", "web"))
    refused = ServiceProcess(
        "ingest",
        KafkaSettings(),
        tmp_path,
        TIDEMARK_INGEST_WORKERS="2",
        TIDEMARK_WRITE_KEYS_FILE=str(keys),
        TIDEMARK_HTTP_PORT="0",
    )
    await refused.start()
    assert refused.process is not None

    assert await asyncio.wait_for(refused.process.wait(), 60) == 2
    assert "TIDEMARK_INGEST_WORKERS" in refused.log.read_text()
