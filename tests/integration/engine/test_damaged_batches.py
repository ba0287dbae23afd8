"""A batch on the broker's disk that is not what was written: one partition cannot be read, and the others can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from services.shared.engine.errors import DamagedChangelog, DamagedSource
from services.shared.engine.kafka import changelog
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import SourceMode
from services.shared.kafka.clients import admin
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.fetching import holes
from services.shared.kafka.fetching.passed_over import Beginnings, refuse_passed_over
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings
from tests.support.counting.in_process import working
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, OUT, SOURCE, Trial, trial
from tests.support.damaging import damage, erase, indexed, lengthen, segment
from tests.support.topic_settings import alter
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

KEYS = [b"k%d" % n for n in range(20)]
SETTINGS = EngineSettings(session_timeout_s=3, heartbeat_s=0.3, transaction_ms=20)


async def two_lanes(log: Trial) -> None:
    await log.produce((key, b"1") for key in KEYS)


@pytest.mark.parametrize("harm", [damage, erase])
async def test_a_changelog_that_cannot_be_read_stops_its_lane_and_no_other(
    own_broker: EmbeddedBroker, tmp_path: Path, harm: Callable[[EmbeddedBroker, str], None]
) -> None:
    async with trial(own_broker.bootstrap, partitions=2) as log:
        await two_lanes(log)
        async with working(log.kafka, tmp_path, SETTINGS):
            assert (await log.settled(30)).exact
        harm(own_broker, f"{log.scoped(CHANGELOG)}-0")

        async with working(log.kafka, tmp_path, SETTINGS) as again:
            lanes = again.lanes
            await until(lambda: set(lanes.of(SOURCE)) == {0, 1}, 30)
            await until(lambda: lanes.of(SOURCE)[0].stopped and lanes.of(SOURCE)[1].ready, 30)

            assert isinstance(lanes.of(SOURCE)[0].stopped, DamagedChangelog)
            assert f"{CHANGELOG}', partition=0" in str(again.not_ready())


async def test_a_changelog_of_which_the_broker_passes_over_the_rest_of_a_file_stops_its_lane(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """Holes are ordinary in a compacted topic, and its position is in the last file: state would be lost in silence."""
    async with trial(own_broker.bootstrap, partitions=1) as log:
        await fill_files(log, tmp_path)
        lengthen(own_broker, f"{log.scoped(CHANGELOG)}-0", 0)

        async with working(log.kafka, tmp_path, SETTINGS) as again:
            lanes = again.lanes
            await until(
                lambda: set(lanes.of(SOURCE)) == {0} and lanes.of(SOURCE)[0].stopped, 30, lambda: str(again.not_ready())
            )

            assert isinstance(lanes.of(SOURCE)[0].stopped, DamagedChangelog)
            assert "are not all given, though there are some" in str(again.not_ready())


async def test_a_changelog_is_loaded_again_where_another_broker_gives_what_the_first_passed_over(
    own_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each replica compacts in its own time: a new leader may still have what the former had no more, which is no damage."""
    asked = 0
    async with trial(own_broker.bootstrap, partitions=1) as log:
        await fill_files(log, tmp_path)
        file = segment(own_broker, f"{log.scoped(CHANGELOG)}-0")
        whole = file.read_bytes()
        lengthen(own_broker, f"{log.scoped(CHANGELOG)}-0", 0)

        async def as_another(kafka: KafkaSettings, read: Beginnings) -> None:
            nonlocal asked
            asked += 1
            with file.open("r+b") as former:
                former.write(whole)
            await refuse_passed_over(kafka, read)

        monkeypatch.setattr(changelog, "refuse_passed_over", as_another)
        async with working(log.kafka, tmp_path, SETTINGS) as again:
            await until(lambda: again.ready, 30, lambda: str(again.not_ready()))
            await log.produce([(b"k0", b"1")])

            assert (await log.settled(30)).exact
        assert asked == 2


async def fill_files(log: Trial, folder: Path) -> None:
    """Give the changelog two files."""
    await alter(log.kafka, CHANGELOG, {"cleanup.policy": "compact", "segment.bytes": str(1 << 20)})
    async with working(log.kafka, folder, SETTINGS):
        for n in range(8):
            await log.produce([(b"k%d" % n, b"fat:200000")])
            assert (await log.settled(30)).exact


@pytest.mark.parametrize("harm", [damage, erase])
async def test_a_source_that_cannot_be_read_stops_its_lane_and_no_other(
    own_broker: EmbeddedBroker, tmp_path: Path, harm: Callable[[EmbeddedBroker, str], None]
) -> None:
    async with trial(own_broker.bootstrap, partitions=2) as log:
        await two_lanes(log)
        harm(own_broker, f"{log.scoped(SOURCE)}-0")

        async with working(log.kafka, tmp_path, SETTINGS) as worker:
            lanes = worker.lanes
            await until(lambda: set(lanes.of(SOURCE)) == {0, 1}, 30)
            await until(lambda: lanes.of(SOURCE)[0].stopped, 30, lambda: str(worker.not_ready()))
            of_the_other = 2 * await log.produce((key, b"1") for key in KEYS if partition_for(key, 2) == 1)
            await until(lambda: lanes.of(SOURCE)[1].durable.offset == of_the_other, 30)

            assert isinstance(lanes.of(SOURCE)[0].stopped, DamagedSource)
            assert f"{SOURCE}/0: soon after offset 0 the source is damaged" in str(worker.not_ready())


async def test_a_batch_without_a_header_behind_whole_ones_stops_its_lane_and_no_other(
    own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """The broker does not look at it; the client finds it while it takes the one before."""
    async with trial(own_broker.bootstrap, partitions=2) as log:
        await two_lanes(log)
        name = f"{log.scoped(SOURCE)}-0"
        first = segment(own_broker, name).stat().st_size
        await two_lanes(log)
        erase(own_broker, name, first)

        async with working(log.kafka, tmp_path, SETTINGS) as worker:
            lanes = worker.lanes
            await until(lambda: set(lanes.of(SOURCE)) == {0, 1}, 30)
            await until(lambda: lanes.of(SOURCE)[0].stopped, 30, lambda: str(worker.not_ready()))
            of_the_other = 2 * sum(partition_for(key, 2) == 1 for key in KEYS)
            await until(lambda: lanes.of(SOURCE)[1].durable.offset == of_the_other, 30)

            assert isinstance(lanes.of(SOURCE)[0].stopped, DamagedSource)
            assert f"{SOURCE}/0: soon after offset 0 the source is damaged" in str(worker.not_ready())


@pytest.mark.parametrize("mode", SourceMode)
async def test_a_batch_that_the_broker_passes_over_stops_its_lane_and_no_other(
    own_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: SourceMode
) -> None:
    """Where the header says that a batch is too long, the broker goes on with the next file, or gives nothing for ever."""
    monkeypatch.setattr(holes, "_NOTHING_FOR_S", 5.0)
    spec = counting_spec(SOURCE, CHANGELOG, OUT, DEAD, mode)
    async with trial(own_broker.bootstrap, partitions=3) as log:
        await alter(log.kafka, SOURCE, {"segment.bytes": str(1 << 20)})
        per_partition = [next(key for key in KEYS if partition_for(key, 3) == n) for n in range(3)]
        for n, key in enumerate(per_partition):
            for _ in range(4 if n == 1 else 1):
                await log.produce([(key, b"1" * 400_000)])
            await log.produce([(key, b"1")])
        for n in (0, 1):
            lengthen(own_broker, f"{log.scoped(SOURCE)}-{n}", 0)

        async with working(log.kafka, tmp_path, SETTINGS, spec=spec) as worker:
            lanes = worker.lanes
            await until(lambda: set(lanes.of(SOURCE)) == {0, 1, 2}, 30)
            await until(lambda: all(lanes.of(SOURCE)[n].stopped for n in (0, 1)), 30, lambda: str(worker.not_ready()))
            await until(lambda: lanes.of(SOURCE)[2].durable.offset == 2, 30)

            said = [str(lanes.of(SOURCE)[n].stopped) for n in (0, 1)]
            assert all(isinstance(lanes.of(SOURCE)[n].stopped, DamagedSource) for n in (0, 1))
            assert "the broker gives nothing, though the partition goes on" in said[0]
            assert "offsets 0 to 1 are not given, those behind them are" in said[1]
            assert set(await log.counts()) == {per_partition[2]}


@pytest.mark.parametrize("harm", [damage, erase])
async def test_what_lies_behind_a_damaged_batch_is_folded_once_an_operator_has_had_it_deleted(
    own_broker: EmbeddedBroker, tmp_path: Path, harm: Callable[[EmbeddedBroker, str], None]
) -> None:
    """As docs/runbooks/TidemarkLaneStopped.md has it where no replica is whole."""
    async with trial(own_broker.bootstrap, partitions=1) as log:
        for records, size in ((3, 1), (1, 1), (1, 5_000), (1, 5_000), (1, 5_000)):  # of 4 KB on, each is in the index
            await log.produce([(b"k", b"1" * size)] * records)
        name = f"{log.scoped(SOURCE)}-0"
        harm(own_broker, name)
        async with working(log.kafka, tmp_path, SETTINGS) as worker:
            lanes = worker.lanes
            await until(lambda: set(lanes.of(SOURCE)) == {0} and lanes.of(SOURCE)[0].stopped, 30)

        # A broker that meets a header without a length finds nothing behind it, but from an entry of its index on.
        whole = 3 if harm is damage else indexed(own_broker, name)[0]
        async with admin(log.kafka) as client:
            await client.delete_records({TopicPartition(log.scoped(SOURCE), 0): RecordsToDelete(whole)})

        accepting = SETTINGS.model_copy(update={"accept_gap": True})
        async with working(log.kafka, tmp_path, accepting) as again:
            lanes = again.lanes
            await until(lambda: set(lanes.of(SOURCE)) == {0}, 30)
            await until(lambda: lanes.of(SOURCE)[0].durable.offset == 7, 30, lambda: str(again.not_ready()))
            async with asyncio.timeout(30):
                while await log.counts() != {b"k": 7 - whole}:  # the end of a transaction shows a little later
                    await asyncio.sleep(0.05)
