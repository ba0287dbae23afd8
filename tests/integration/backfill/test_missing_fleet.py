"""A drive whose fleet record does not come says how far the day got."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from schemas import codec
from schemas.topics import FLEET, FLEET_PARTIALS, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.backfill import missing_fleet
from services.backfill.log import NoFleet, UsageLog
from services.scorer.domain.fleet import SEGMENT, FleetTally, decide
from services.shared.kafka.clients import producer
from services.shared.kafka.settings import KafkaSettings

pytestmark = pytest.mark.integration

EPOCH, DAY = 7, 20_000


@pytest.fixture
def topic_names() -> Collection[str]:
    """What a drive reads."""
    return (USAGE_EVENTS, USAGE_UNATTRIBUTED, FLEET_PARTIALS, FLEET)


@pytest.fixture
def partitions() -> int:
    """Two lanes."""
    return 2


def partial(partition: int, epoch: int = EPOCH, day: int = DAY) -> dict[str, Any]:
    """Return what the lane of a partition without accounts reports."""
    nothing = FleetTally()
    return {
        "day": day, "segment": SEGMENT, "epoch": epoch, "partition": partition, "partitions": 2, "repeated": False,
        "accounts": 0, "weight_sum": 0, "weighted_ratio_sum": 0, "histogram": nothing.counts(), "connected": [],
    }  # fmt: skip


async def append(kafka: KafkaSettings, topic: str, record: str, *values: dict[str, Any]) -> None:
    """Append records to the only partition of a topic, or the first."""
    async with producer(kafka) as writer:
        for value in values:
            await writer.send_and_wait(kafka.scoped(topic), codec.encoder(record)(value), b"a key", 0)


async def said(kafka: KafkaSettings) -> str:
    """Return what a drive says that waits in vain."""
    async with UsageLog(kafka) as log:
        await log.follow({})
        with pytest.raises(NoFleet) as error:
            await log.await_fleet(EPOCH, DAY, 0.5)
        return str(error.value)


async def test_lanes_that_have_not_reported_the_day_are_named(kafka_settings: KafkaSettings) -> None:
    await append(
        kafka_settings, FLEET_PARTIALS, "fleet_partial", partial(0), partial(1, day=DAY - 1), partial(1, epoch=8)
    )

    told = await said(kafka_settings)

    assert "missing on partitions [0, 1]. The lanes of partitions [1] have not reported the day:" in told
    assert "Run the same command again" in told


async def test_a_day_that_all_have_reported_waits_for_its_decision(kafka_settings: KafkaSettings) -> None:
    await append(kafka_settings, FLEET_PARTIALS, "fleet_partial", partial(0), partial(1))

    assert "All lanes have reported the day, but the lane of fleet-partials has not decided it" in await said(
        kafka_settings
    )


async def test_a_decision_that_is_not_everywhere_names_where_it_is_missing(kafka_settings: KafkaSettings) -> None:
    decision = decide([partial(0), partial(1)], [])
    await append(kafka_settings, FLEET, "fleet", decision)
    await append(kafka_settings, USAGE_EVENTS, "fleet", decision)

    told = await said(kafka_settings)

    assert "missing on partitions [1]. It is decided, but" in told
    assert "has not written it to partitions [1]" in told


async def test_where_the_topics_cannot_be_read_it_says_so(kafka_settings: KafkaSettings) -> None:
    elsewhere = kafka_settings.model_copy(update={"topic_prefix": kafka_settings.topic_prefix + "none-"})

    told = await missing_fleet.where(elsewhere, EPOCH, DAY, [0, 1], [1], within_s=0.5)

    assert told.startswith("How far the day got cannot be read (")


async def test_who_waits_learns_at_once_why_nothing_more_is_read(
    kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with UsageLog(kafka_settings) as log:
        await log.follow({})
        waiting = asyncio.create_task(log.await_fleet(EPOCH, DAY, 60))
        await asyncio.sleep(0)  # it waits now

        async def unreadable(*_: object) -> None:
            raise ValueError("not a record")

        monkeypatch.setattr(log, "_note", unreadable)
        await append(kafka_settings, USAGE_EVENTS, "fleet", decide([partial(0), partial(1)], []))

        with pytest.raises(ValueError, match="not a record"):
            async with asyncio.timeout(20):
                await waiting
