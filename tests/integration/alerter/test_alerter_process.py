"""The alerter as a process on a real broker: snapshots in, signals out, open ones to start from, kills survived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from schemas import codec
from services.shared.kafka import clients
from services.shared.kafka.settings import KafkaSettings
from tests.support.alerter import silent, snapshot
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

_encode = codec.encoder("account_health")
LOW: dict[str, Any] = {"detractors": 1, "lowest_answer": 2, "survey_responses": 1}


@pytest.fixture
async def alerter(kafka_settings: KafkaSettings, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    process = ServiceProcess("alerter", kafka_settings, tmp_path)
    await process.start()
    try:
        yield process
    finally:
        await process.kill()


class Reader:
    """A subscriber: reads topics from their start, committed records only, and keeps what it has seen."""

    def __init__(self, kafka: KafkaSettings, *topics: str) -> None:
        self._kafka = kafka
        self._topics = topics
        self.records: list[tuple[bytes, dict[str, Any] | None]] = []

    async def __aenter__(self) -> Self:
        self._consumer = clients.consumer(self._kafka, *self._topics)
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def poll(self) -> None:
        for batch in (await self._consumer.getmany(timeout_ms=200)).values():
            for record in batch:
                value = None if record.value is None else codec.decode(record.value)[1]
                self.records.append((record.key, value))

    async def until(self, count: int, seconds: float = 60.0) -> list[dict[str, Any]]:
        async def enough() -> bool:
            await self.poll()
            return len(self.records) >= count

        await until(enough, seconds)
        return [value for _, value in self.records if value is not None]


async def tell(kafka: KafkaSettings, *values: Mapping[str, Any]) -> None:
    """Put snapshots on account-health in a transaction, as the scorer does."""
    producer = clients.transactional_producer(kafka, "test")
    await producer.start()
    try:
        async with producer.transaction():
            for value in values:
                await producer.send_and_wait(
                    kafka.scoped("account-health"), key=value["account"].encode(), value=_encode(value)
                )
    finally:
        await producer.stop()


async def test_a_snapshot_goes_in_and_a_signal_comes_out(
    kafka_settings: KafkaSettings, alerter: ServiceProcess
) -> None:
    await until(alerter.ready)
    async with Reader(kafka_settings, "risk-signals") as signals:
        await tell(kafka_settings, snapshot(0, **LOW))
        found = await signals.until(1)

    assert [(s["account"], s["rule"], s["transition"]) for s in found] == [("acme", "nps_detractor", "FIRING")]
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{alerter.port}/metrics")).text
    assert "tidemark_alerter_signals_total{" in text
    assert await alerter.stop() == 0


async def test_an_aborted_snapshot_is_never_judged(kafka_settings: KafkaSettings, alerter: ServiceProcess) -> None:
    await until(alerter.ready)
    producer = clients.transactional_producer(kafka_settings, "test")
    await producer.start()
    await producer.begin_transaction()
    ghost = snapshot(0, account="ghost", **LOW)
    await producer.send_and_wait(kafka_settings.scoped("account-health"), key=b"ghost", value=_encode(ghost))
    await producer.abort_transaction()
    await producer.stop()
    # the same partition, so that the ghost would have come first
    await tell(kafka_settings, snapshot(0, account="ghost"), *[snapshot(0, account=f"a{n}", **LOW) for n in range(8)])

    async with Reader(kafka_settings, "risk-signals") as signals:
        found = await signals.until(8)
    assert {s["account"] for s in found} == {f"a{n}" for n in range(8)}


async def test_a_new_subscriber_starts_from_the_open_signals_and_then_follows(
    kafka_settings: KafkaSettings, alerter: ServiceProcess
) -> None:
    names = ["acme", "globex", "initech"]
    await tell(kafka_settings, *[snapshot(day, account=name, **LOW) for day in range(3) for name in names])
    await tell(kafka_settings, snapshot(3, account="globex"))
    async with Reader(kafka_settings, "open-signals") as reader:
        # three open, one of them deleted again by an empty value
        await reader.until(4)
        start: dict[bytes, dict[str, Any]] = {}
        for key, value in reader.records:
            if value is None:
                start.pop(key, None)
            else:
                start[key] = value
        assert {s["account"] for s in start.values()} == {"acme", "initech"}

        async with Reader(kafka_settings, "risk-signals") as tail:
            await tail.until(4)
            await tell(kafka_settings, snapshot(3, account="acme"))
            found = await tail.until(5)

    last = found[-1]
    assert (last["account"], last["transition"], last["resolved_reason"]) == ("acme", "RESOLVED", "recovered")
    assert last["episode_id"].encode() in start


async def test_an_account_that_the_scorer_forgets_has_nothing_open_any_more(
    kafka_settings: KafkaSettings, alerter: ServiceProcess
) -> None:
    await tell(kafka_settings, snapshot(0, account="acme", **LOW))
    forgotten = codec.encoder("account_forgotten")({"account": "acme", "at": snapshot(300)["at"], "historical": False})
    producer = clients.transactional_producer(kafka_settings, "test")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(kafka_settings.scoped("account-health"), key=b"acme", value=forgotten)
    await producer.stop()

    async with Reader(kafka_settings, "open-signals") as reader:
        await reader.until(2)

    (_, fired), (key, gone) = reader.records
    assert fired is not None
    assert (key.decode(), gone) == (fired["episode_id"], None)
    async with Reader(kafka_settings, "risk-signals") as signals:
        last = (await signals.until(2))[-1]
    assert (last["resolved_reason"], last["at"]) == ("forgotten", snapshot(300)["at"])


async def test_kills_at_any_time_leave_each_signal_once(kafka_settings: KafkaSettings, alerter: ServiceProcess) -> None:
    accounts = [f"account-{n}" for n in range(40)]

    async def days(first: int, last: int) -> None:
        for day in range(first, last):
            changes = silent(day) if day < 12 else {}
            await tell(kafka_settings, *[snapshot(day, account=account, **changes) for account in accounts])

    telling = asyncio.create_task(days(0, 24))
    async with Reader(kafka_settings, "risk-signals") as signals:
        for seen in (1, 40):
            await signals.until(seen)
            await alerter.kill()
            await alerter.start()
        await telling
        # of each account: usage_decline_fast fires, usage_silent fires and takes its place, and recovers
        found = await signals.until(4 * len(accounts))
        await until(alerter.ready)
        await signals.poll()

    ids = [s["signal_id"] for s in found]
    assert len(signals.records) == len(ids) == len(set(ids)) == 4 * len(accounts)
    for account in accounts:
        mine = [(s["rule"], s["transition"], s["resolved_reason"]) for s in found if s["account"] == account]
        assert mine == [
            ("usage_decline_fast", "FIRING", ""),
            ("usage_silent", "FIRING", ""),
            ("usage_decline_fast", "RESOLVED", "inhibited"),
            ("usage_silent", "RESOLVED", "recovered"),
        ]
