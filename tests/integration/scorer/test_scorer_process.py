"""The scorer as a process on a real broker: events in, snapshots out, days move, kills survived."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from schemas import codec
from services.shared.kafka import clients
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS, HOUR_MS
from tests.support.scorer import clock, encode, event, measures, tick
from tests.support.service_process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.timeout(170)]


def holds_day(day: int, found: list[dict[str, Any]]) -> bool:
    return any(record["day"] == day for record in found)


class Scorer(ServiceProcess):
    """`python -m services.scorer` with the settings of the test's topics, and what one writes and reads around it."""

    def __init__(self, kafka: KafkaSettings, folder: Path, **environment: str) -> None:
        super().__init__("scorer", kafka, folder, **environment)

    async def send(self, *events: dict[str, Any]) -> None:
        producer = clients.producer(self.kafka)
        await producer.start()
        try:
            topic = self.kafka.scoped("usage-events")
            sent = [await producer.send(topic, encode("usage_event", e), e["account"].encode()) for e in events]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def control(self, kind: str, value: dict[str, Any]) -> None:
        producer = clients.producer(self.kafka)
        await producer.start()
        try:
            for partition in range(self.kafka.partitions):
                await producer.send_and_wait(
                    self.kafka.scoped("usage-events"), encode(kind, value), partition=partition
                )
        finally:
            await producer.stop()

    async def read_until(self, topic: str, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Read a topic from its start until what was read is enough; the test's time limit bounds it."""
        found: list[dict[str, Any]] = []
        consumer = clients.consumer(self.kafka, topic)
        await consumer.start()
        try:
            while not enough(found):
                assert self.process is None or self.process.returncode is None, self.log.read_text("utf-8")
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [codec.decode(record.value)[1] for record in records]
        finally:
            await consumer.stop()
        return found


@pytest.fixture
async def scorer(kafka_settings: KafkaSettings, tmp_path: Path) -> AsyncIterator[Scorer]:
    running = Scorer(kafka_settings, tmp_path, TIDEMARK_ENGINE_INSTANCE="scorer-under-test")
    await running.start()
    try:
        yield running
    finally:
        await running.kill()


async def test_an_event_becomes_a_snapshot_by_the_live_clock(scorer: Scorer) -> None:
    now = int(time.time() * 1000)
    await scorer.send(event("e1", when=now), event("e1", when=now), event("e2", user="bob", when=now))
    snapshots = await scorer.read_until("account-health", bool)

    assert snapshots[0]["account"] == "acme"
    assert snapshots[0]["dates"]["last_activity"] == now // DAY_MS
    assert snapshots[0]["trigger_received_at"] == now
    latest = await scorer.read_until("account-health-latest", bool)
    assert latest == snapshots
    metrics = await scorer.metrics()
    assert 'tidemark_scorer_events_total{outcome="applied"} 2.0' in metrics
    assert 'tidemark_scorer_events_total{outcome="duplicate"} 1.0' in metrics
    assert await scorer.stop() == 0


async def test_driven_days_close_with_the_fleets_factor_and_kills_change_nothing(scorer: Scorer) -> None:
    start = 20_000
    epoch = 5
    await scorer.control("clock", clock("DRIVEN", start * DAY_MS, epoch))
    accounts = [f"acct-{n}" for n in range(16)]
    for day in range(start, start + 4):
        when = day * DAY_MS + HOUR_MS
        await scorer.send(
            *(event(f"{day}-{a}-{u}", a, u, when, epoch=epoch, historical=True) for a in accounts for u in "xyz")
        )
        await scorer.control("tick", tick((day + 1) * DAY_MS, epoch))
        if day == start + 1:
            await scorer.kill()
            await scorer.start()
        decided = await scorer.read_until("fleet", partial(holds_day, day))
        assert {f["epoch"] for f in decided} == {epoch}
    closes = await scorer.read_until(
        "account-health", lambda found: sum(s["reason"] == "DAY_CLOSE" for s in found) >= 4 * len(accounts)
    )

    by_account: dict[str, list[int]] = {}
    for snapshot in closes:
        assert snapshot["historical"]
        if snapshot["reason"] == "DAY_CLOSE":
            by_account.setdefault(snapshot["account"], []).append(snapshot["day"])
            assert measures(snapshot)["user_days_1w"] == 3 * (snapshot["day"] - start + 1)
    assert by_account == {account: list(range(start, start + 4)) for account in accounts}
    for account in accounts:
        numbers = [s["sequence"] for s in closes if s["account"] == account]
        assert numbers == list(range(1, len(numbers) + 1))


async def test_a_wrong_configuration_is_named_at_once(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("version: x\nstages: {}\nmeasures: {}\n", "utf-8")
    (tmp_path / "plan.yaml").write_text("value_event: [typo]\n", "utf-8")
    running = Scorer(
        kafka_settings, tmp_path, TIDEMARK_SCORER_MODEL=str(tmp_path / "model.yaml"), TIDEMARK_TRACKING_PLAN=str(tmp_path / "plan.yaml")
    )  # fmt: skip
    with running.log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.scorer", "--check-config", env=running._environment, stdout=out, stderr=out
        )
    assert await process.wait() == 2
    said = running.log.read_text("utf-8")

    assert "value_event" in said
    assert "stages: ONBOARDING is missing" in said
    assert "stages: RENEWAL is missing" in said
