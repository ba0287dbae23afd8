"""A batch on the broker's disk that is not what was written: one partition cannot be read, and the others can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.shared.engine.errors import DamagedChangelog
from services.shared.engine.settings import EngineSettings
from services.shared.kafka.embedded.broker import EmbeddedBroker
from tests.support.counting.in_process import working
from tests.support.counting.trial import CHANGELOG, SOURCE, Trial, trial
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SETTINGS = EngineSettings(session_timeout_s=3, heartbeat_s=0.3, transaction_ms=20)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    made = EmbeddedBroker(tmp_path_factory.mktemp("broker"))
    made.start()
    yield made
    made.stop()


def damage(broker: EmbeddedBroker, name: str) -> None:
    """Change one byte of the first batch of a partition."""
    [segment] = broker.data.rglob(f"{name}/00000000000000000000.log")
    with segment.open("r+b") as file:
        file.seek(70)
        [before] = file.read(1)
        file.seek(70)
        file.write(bytes([before ^ 0xFF]))


async def two_lanes(log: Trial) -> None:
    await log.produce((b"k%d" % n, b"1") for n in range(20))


async def test_a_changelog_that_cannot_be_read_stops_its_lane_and_no_other(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    async with trial(broker.bootstrap, partitions=2) as log:
        await two_lanes(log)
        async with working(log.kafka, tmp_path, SETTINGS):
            assert (await log.settled(30)).exact
        damage(broker, f"{log.scoped(CHANGELOG)}-0")

        async with working(log.kafka, tmp_path, SETTINGS) as again:
            lanes = again.lanes
            await until(lambda: set(lanes.of(SOURCE)) == {0, 1}, 30)
            await until(lambda: lanes.of(SOURCE)[0].stopped and lanes.of(SOURCE)[1].ready, 30)

            assert isinstance(lanes.of(SOURCE)[0].stopped, DamagedChangelog)
            assert f"{CHANGELOG}', partition=0" in str(again.not_ready())
