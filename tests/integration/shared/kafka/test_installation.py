"""The number of partitions under which data was written holds, whatever settings and topics say later."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from schemas.topics import INSTALLATION, TOPICS
from services.shared import exit_status
from services.shared.errors import ConfigurationError
from services.shared.kafka import installation, replication, topics
from services.shared.kafka.clients import admin, producer
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.watch import ClusterWatch
from tests.conftest import Kafka
from tests.support.commands import Ran, run_tool
from tests.support.keys import entry
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = pytest.mark.integration

SERVICES = ("ingest", "scorer", "alerter", "warehouse")
_NOTICED_WITHIN_S = 60.0  # 10 s on an idle machine


@pytest.fixture
def partitions() -> int:
    """The number that the sentences below say."""
    return 4


def other(kafka: KafkaSettings, partitions: int) -> KafkaSettings:
    return kafka.model_copy(update={"partitions": partitions})


async def grow(kafka: KafkaSettings, names: list[str], to: int) -> None:
    async with admin(kafka) as client:
        await client.create_partitions({kafka.scoped(name): NewPartitions(to) for name in names})

        async def grown() -> bool:
            described = await client.describe_topics([kafka.scoped(name) for name in names])
            return all(len(each["partitions"]) == to for each in described)

        await until(grown, within_s=30)


def shared() -> list[str]:
    return [topic.name for topic in TOPICS.values() if topic.partitions == "shared"]


async def tidemark(kafka: KafkaSettings, folder: Path, *arguments: str, **given: str) -> Ran:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TIDEMARK_TOPIC_PREFIX": kafka.topic_prefix,
        "TIDEMARK_PARTITIONS": str(kafka.partitions),
        "TIDEMARK_DEV_DATA": str(folder),
        **given,
    }
    return await asyncio.to_thread(run_tool, *arguments, **environment)  # it runs a loop of its own


def service(name: str, kafka: KafkaSettings, folder: Path) -> ServiceProcess:
    folder.mkdir(exist_ok=True)
    keys = folder / "keys.yaml"
    keys.write_text(entry("key", "web", backfill=True))
    return ServiceProcess(name, kafka, folder, TIDEMARK_WRITE_KEYS_FILE=str(keys))


async def ended(process: ServiceProcess, within_s: float) -> int:
    assert process.process is not None
    async with asyncio.timeout(within_s):
        return await process.process.wait()


def all_services(kafka: KafkaSettings, folder: Path) -> list[ServiceProcess]:
    return [service(name, kafka, folder / name) for name in SERVICES]


async def all_refuse(kafka: KafkaSettings, folder: Path) -> list[str]:
    """Start every service, hold that each ends as one that is refused, and return what they say."""
    return await refused(all_services(kafka, folder))


async def refused(processes: list[ServiceProcess]) -> list[str]:
    for process in processes:
        await process.start()
    for process in processes:
        assert await ended(process, 60) == exit_status.REFUSED, process.log.read_text()
    return [process.log.read_text() for process in processes]


async def test_the_first_number_holds(kafka_settings: KafkaSettings) -> None:
    assert await installation.recorded(kafka_settings) == 4

    assert await installation.record(other(kafka_settings, 8)) == 4
    with pytest.raises(
        ConfigurationError, match="TIDEMARK_PARTITIONS is 8.*written under 4.*set TIDEMARK_PARTITIONS=4"
    ):
        await topics.create(other(kafka_settings, 8))


async def test_topics_that_have_grown_together_with_the_setting_are_refused(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    """Seen: 26 of 57 accounts with state in two partitions, and nothing that told of it."""
    await grow(kafka_settings, shared(), 8)
    grown = other(kafka_settings, 8)

    problems = await topics.check(grown)
    check = await tidemark(grown, tmp_path, "topics", "check")
    doctor = await tidemark(grown, tmp_path, "doctor")

    assert any("TIDEMARK_PARTITIONS is 8, but the data of this installation was written under 4" in p for p in problems)
    assert any("usage-events has 8 partitions, 4 are needed" in problem for problem in problems)
    assert check.returncode == doctor.returncode == exit_status.REFUSED == 78
    assert "written under 4" in check.stdout and "written under 4" in doctor.stdout
    [said] = await refused([service("scorer", grown, tmp_path)])
    assert "written under 4" in said
    assert "Traceback" not in said


async def test_every_service_refuses_a_wrong_setting(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    for said in await all_refuse(other(kafka_settings, 24), tmp_path):
        # The check at the start says the first, the watch of the cluster, where it is sooner, the second.
        assert "TIDEMARK_PARTITIONS is 24" in said or "has 4 partitions, 24 are needed (TIDEMARK_PARTITIONS)" in said


async def test_every_service_refuses_topics_that_are_missing(kafka: Kafka, tmp_path: Path) -> None:
    nothing = KafkaSettings(bootstrap_servers=kafka.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:12]}-", partitions=4)

    for said in await all_refuse(nothing, tmp_path):
        assert "run `tidemark topics create`" in said


async def test_a_backfill_refuses_a_wrong_setting(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    ingest = service("ingest", kafka_settings, tmp_path)
    await ingest.start()
    await until(ingest.ready)
    (tmp_path / "events.csv").write_text("account,user,timestamp\na,u,2026-01-01T00:00:00Z\n")
    given = {"TIDEMARK_INGEST_URL": f"http://127.0.0.1:{ingest.port}", "TIDEMARK_BACKFILL_KEY": "key"}
    try:
        done = await tidemark(other(kafka_settings, 8), tmp_path, "backfill", str(tmp_path / "events.csv"), **given)
    finally:
        await ingest.stop()

    assert done.returncode == exit_status.REFUSED, done.stderr
    assert "written under 4" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.long
async def test_every_running_service_notices_that_a_topic_of_its_own_grows_and_only_that(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    processes = all_services(kafka_settings, tmp_path)
    for process in processes:
        await process.start()
    for process in processes:
        await until(process.ready, within_s=90)

    of = {process.name: process for process in processes}
    for topic, names in (("expansion-signals", ("alerter", "warehouse")), ("usage-events", ("ingest", "scorer"))):
        await grow(kafka_settings, [topic], 5)

        for name in names:
            assert await ended(of[name], _NOTICED_WITHIN_S) == exit_status.REFUSED, name
            said = of[name].log.read_text()
            assert said.count("has 5 partitions, 4 are needed") == said.count(f"{topic} has 5 partitions") > 0


async def test_data_without_a_recorded_number_is_adopted_only_on_request(kafka: Kafka, tmp_path: Path) -> None:
    deployment = KafkaSettings(
        bootstrap_servers=kafka.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:12]}-", partitions=4
    )
    try:
        await topics.create(deployment)
        writer = producer(deployment)
        await writer.start()
        await writer.send_and_wait(deployment.scoped("usage-events"), b"", b"a")
        await writer.stop()
        await topics.delete(deployment, [TOPICS[INSTALLATION]])
        async with admin(deployment) as client:
            await until(lambda: _gone(client, deployment.scoped(INSTALLATION)))

        lost = await tidemark(deployment, tmp_path, "topics", "create")
        wrong = await tidemark(other(deployment, 8), tmp_path, "topics", "create", "--adopt")
        adopted = await tidemark(deployment, tmp_path, "topics", "create", "--adopt")

        assert lost.returncode == wrong.returncode == exit_status.REFUSED
        assert "--adopt" in lost.stderr and "usage-events has 4 partitions, 8 are needed" in wrong.stderr
        assert adopted.returncode == 0, adopted.stderr
        assert await installation.recorded(deployment) == 4
    finally:
        await topics.delete(deployment)


async def _gone(client: AIOKafkaAdminClient, topic: str) -> bool:
    return topic not in await client.list_topics()


async def test_one_broker_keeps_one_copy_and_create_says_so(kafka: Kafka, tmp_path: Path) -> None:
    deployment = KafkaSettings(
        bootstrap_servers=kafka.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:12]}-", partitions=1
    )
    try:
        made = await tidemark(deployment, tmp_path, "topics", "create")

        assert "topics keep 1 of 3 wanted copies of each record, since the cluster has 1 broker(s)" in made.stdout
        assert await replication.check(deployment) == []
    finally:
        await topics.delete(deployment)


def test_three_brokers_keep_three_copies_and_wait_for_two() -> None:
    kafka, topic = KafkaSettings(), TOPICS["usage-events"]

    assert [replication.copies(kafka, topic, brokers) for brokers in (1, 2, 3, 5)] == [1, 2, 3, 3]
    assert [replication.in_sync(kafka, topic, brokers) for brokers in (1, 2, 3, 5)] == [1, 1, 2, 2]
    assert replication.copies(KafkaSettings(replication=2), topic, 3) == 2
    assert replication.below_the_record(kafka, 3) is None


async def test_a_process_without_a_broker_is_not_ready_then_not_alive() -> None:
    now = 0.0
    watch = ClusterWatch(KafkaSettings(), 120.0, clock=lambda: now)

    assert (watch.not_ready(), watch.not_alive()) == (None, None)
    now = 13.0
    assert "Kafka has not answered for 13 s" in str(watch.not_ready()) and watch.not_alive() is None
    now = 121.0
    assert "Kafka has not answered for 121 s" in str(watch.not_alive())
    watch.answered()
    assert (watch.not_ready(), watch.not_alive()) == (None, None)
