"""
The short form of the campaign's upgrades: one broker, two scorers, one of each other service, two builds, under load.

From the older build to this one, a step back, up again, and on to the newest level; then the older build is refused, and
goes on after it is upgraded again. By the campaign's comparison nothing is lost, doubled or different.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas import formats
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings
from tests.chaos import builds, upgrading
from tests.chaos.checks import check
from tests.chaos.clients import Load, Sent
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.upgrading import INGEST_FIRST, SCORER_FIRST

pytestmark = pytest.mark.chaos

PROGRAMS = ("ingest", "scorer-1", "scorer-2", "alerter", "warehouse")
RATE = 40.0
SESSION = {"TIDEMARK_ENGINE_SESSION_TIMEOUT_S": "4", "TIDEMARK_ENGINE_HEARTBEAT_S": "0.5"}
"""So that partitions move sooner."""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The build of the level before."""
    return builds.older(tmp_path / "older")


@pytest.fixture
async def deployment(older: Path, tmp_path: Path) -> AsyncIterator[Deployment]:
    """All services of the older build, ready, on a broker of their own."""
    broker = EmbeddedBroker(tmp_path / "kafka")
    await asyncio.to_thread(broker.start)
    try:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap, partitions=4)
        environment = dict.fromkeys(PROGRAMS, SESSION)
        async with deployed(tmp_path, kafka, PROGRAMS, environment=environment, build=older) as made:
            yield made
    finally:
        await asyncio.to_thread(broker.stop)


def test_the_older_build_knows_one_level_less_and_runs_from_its_own_folder(older: Path) -> None:
    assert builds.newest_of(older) == formats.NEWEST - 1
    assert builds.newest_of(builds.ROOT) == formats.NEWEST


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_rolling_upgrade_loses_and_doubles_nothing(deployment: Deployment, older: Path) -> None:
    kafka = deployment.kafka
    sent = Sent()
    async with Load([deployment.programs["ingest"].url], sent, RATE) as load:
        load.go()
        await upgrading.roll(deployment, SCORER_FIRST, None)
        await upgrading.roll(
            deployment, ("ingest", "alerter"), older
        )  # a step back, and up again with the newest level
        assert set(await upgrading.events_by_version(kafka)) == {1}
        assert set(await upgrading.state_by_format(kafka)) == {1}
        await upgrading.roll(deployment, INGEST_FIRST, None, formats.NEWEST)
        assert set(await upgrading.events_by_version(kafka)) == {1, 2}
        assert 2 in await upgrading.state_by_format(kafka)
        assert await upgrading.stopped_lanes(deployment) == []

        assert await upgrading.refused(deployment, "scorer-2", older) == []
        await upgrading.put(deployment, "scorer-2", None, formats.NEWEST)
        assert await load.pause()
    found = await check(deployment, sent)

    assert found.clean, found
    assert found.events == len(sent.calls) > 1000
