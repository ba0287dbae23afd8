"""Ticks on a real broker: each answered with its append time and the leader, and an idle scorer that sends few."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from schemas import codec
from services.scorer.tick_sender import MOST, TickSender, tick_producer
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings
from tests.support.scorer import encode, tick
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
def partitions() -> int:
    """As many as a sender asks at once, and with the two topics of a scorer eight ticks."""
    return 4


async def test_each_partition_answers_with_its_append_time_and_its_leader(kafka_settings: KafkaSettings) -> None:
    sender = TickSender(kafka_settings.scoped("usage-events"), lambda: tick_producer(kafka_settings))
    before = time.time_ns() // 1_000_000
    try:
        answers = await asyncio.gather(*(sender.send(number, encode("tick", tick(7))) for number in range(4)))
        again = await sender.send(2, encode("tick", tick(8)))
    finally:
        await sender.close()

    after = time.time_ns() // 1_000_000
    assert all(before - 1000 <= each.timestamp_ms <= after + 1000 for each in (*answers, again))
    assert {each.broker for each in answers} == {kafka_settings.bootstrap_servers}
    assert len(sender._quick) <= MOST
    written = [codec.decode(record.value) async for record in scan(kafka_settings, "usage-events")]
    assert sorted(value["at"] for _, value in written) == [7, 7, 7, 7, 8]


async def eight_ticks(scorer: ServiceProcess) -> bool:
    return await scorer.ready() and "tidemark_scorer_ticks_sent_total 8.0" in await scorer.metrics()


async def not_eight_ticks(scorer: ServiceProcess) -> bool:
    return "tidemark_scorer_ticks_sent_total 8.0" not in await scorer.metrics()


async def test_an_idle_scorer_starts_its_clocks_and_is_silent(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    scorer = ServiceProcess("scorer", kafka_settings, tmp_path, TIDEMARK_ENGINE_INSTANCE="scorer-that-idles")
    await scorer.start()
    try:
        await until(lambda: eight_ticks(scorer))  # four partitions of two topics
        # The first version sent twenty in this time.
        with pytest.raises(TimeoutError):
            await until(lambda: not_eight_ticks(scorer), within_s=5)
    finally:
        await scorer.kill()
