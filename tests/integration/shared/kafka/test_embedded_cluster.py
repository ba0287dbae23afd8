"""
Three embedded brokers are a cluster: what one has the others have, and most of them are enough.

Where one alone has a partition, a worker misses nothing but that.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, KafkaTimeoutError, NotEnoughReplicasError
from aiokafka.protocol.metadata import MetadataRequest

from schemas.topics import INSTALLATION, TOPICS
from services.shared.engine.kafka import changelog
from services.shared.engine.settings import EngineSettings
from services.shared.errors import Retryable
from services.shared.kafka import installation, reading, replication, topics
from services.shared.kafka.clients import admin, consumer, producer
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings
from tests.support.counting.in_process import working
from tests.support.counting.trial import CHANGELOG, DEAD, OUT, SOURCE
from tests.support.embedded_cluster import EmbeddedCluster
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    """Three brokers for the tests of this file."""
    cluster = EmbeddedCluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
async def kafka(cluster: EmbeddedCluster) -> KafkaSettings:
    """The topic `fleet` on it, and beside it `installation`, both whole: every replica is in sync."""
    cluster.start()
    kafka = KafkaSettings(bootstrap_servers=cluster.bootstrap, replication=3)
    await topics.create(kafka, [TOPICS["fleet"]])
    await until(lambda: in_sync(cluster, {1, 2, 3}))
    await until(lambda: in_sync(cluster, {1, 2, 3}, INSTALLATION))
    return kafka


@pytest.fixture
async def writer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that waits for all replicas in sync."""
    writer = producer(kafka)
    await writer.start()
    yield writer
    await writer.stop()


async def in_sync(cluster: EmbeddedCluster, nodes: set[int], topic: str = "fleet") -> EmbeddedBroker | None:
    """
    Return who leads the topic, if each of these nodes says that they, and no others, are in sync.

    Each is asked: one that was frozen or has just started tells what was true before, until it has caught up.
    """
    said = [await led_and_in_sync(cluster.brokers[node - 1], topic) for node in nodes]
    (leader, isr) = said[0]
    return cluster.brokers[leader - 1] if said == [(leader, isr)] * len(nodes) and isr == nodes >= {leader} else None


async def led_and_in_sync(broker: EmbeddedBroker, topic: str) -> tuple[int, set[int]]:
    """Return who leads the topic and who is in sync, as this broker tells it; nobody, if it does not answer in time."""
    connection = None
    try:
        async with asyncio.timeout(3):
            connection = await create_conn("127.0.0.1", broker.node.port)
            answer = await connection.send(MetadataRequest([topic], allow_auto_topic_creation=False))
    except (KafkaError, OSError, TimeoutError):
        return -1, set()
    finally:
        if connection is not None:
            connection.close()
    partitions = answer.to_object()["topics"][0]["partitions"]
    return (partitions[0]["leader"], set(partitions[0]["isr"])) if partitions else (-1, set())


async def read_all(kafka: KafkaSettings, at_least: int) -> list[bytes]:
    """Return the records of the topic, once there are so many."""
    reader = consumer(kafka, "fleet")
    await reader.start()
    try:
        return [(await reader.getone()).value for _ in range(at_least)]
    finally:
        await reader.stop()


async def test_what_two_brokers_have_survives_the_leader(
    cluster: EmbeddedCluster, kafka: KafkaSettings, writer: AIOKafkaProducer
) -> None:
    """And with one down, acknowledged by all in sync can still be had."""
    before = (await writer.send_and_wait("fleet", b"three have it", key=b"k")).offset
    leader = await until(lambda: in_sync(cluster, {1, 2, 3}))

    await asyncio.to_thread(leader.kill)
    await until(lambda: in_sync(cluster, {1, 2, 3} - {leader.node.id}))
    await asyncio.wait_for(writer.send_and_wait("fleet", b"two have it", key=b"k"), 30)

    assert (await read_all(kafka, before + 2))[before:] == [b"three have it", b"two have it"]
    await asyncio.to_thread(leader.start)
    await until(lambda: in_sync(cluster, {1, 2, 3}))


async def test_what_lacks_a_copy_is_told_while_a_broker_is_down(cluster: EmbeddedCluster, kafka: KafkaSettings) -> None:
    assert await replication.lacking(kafka) is None

    await asyncio.to_thread(cluster.brokers[2].kill)
    await until(lambda: in_sync(cluster, {1, 2}))

    told = "2 of 2 partitions lack a copy, on broker 3; start what is down, and wait until it has caught up"

    async def tells() -> bool:
        return await replication.lacking(kafka) == told

    await until(tells)  # `installation` is the other one
    assert await replication.summary(kafka) == "as many as the records say"
    await asyncio.to_thread(cluster.start)
    await until(lambda: in_sync(cluster, {1, 2, 3}))


async def test_with_two_of_three_down_nothing_is_acknowledged(
    cluster: EmbeddedCluster, kafka: KafkaSettings, writer: AIOKafkaProducer
) -> None:
    """One copy is not enough; and when they are back it goes on."""
    await asyncio.to_thread(cluster.brokers[0].kill)
    await until(lambda: in_sync(cluster, {2, 3}))
    await asyncio.to_thread(cluster.brokers[1].kill)

    with pytest.raises((TimeoutError, NotEnoughReplicasError)):
        await asyncio.wait_for(writer.send_and_wait("fleet", b"one has it", key=b"k"), 5)

    await asyncio.to_thread(cluster.start)
    await until(lambda: in_sync(cluster, {1, 2, 3}))
    async with asyncio.timeout(30):
        await writer.send_and_wait("fleet", b"again", key=b"k")


async def make_topics_of_a_worker(kafka: KafkaSettings, on_the_third: dict[str, int]) -> None:
    """Make the topics of three lanes with one copy of each partition: on the first node, or for some on the third."""
    async with admin(kafka) as client:
        made = await client.create_topics([
            NewTopic(
                kafka.scoped(name), -1, -1,
                replica_assignments={p: [3 if on_the_third.get(name) == p else 1] for p in range(3)},
                topic_configs={"min.insync.replicas": "1", "cleanup.policy": "compact" if name == CHANGELOG else "delete"},
            )
            for name in (SOURCE, CHANGELOG, OUT, DEAD)
        ])  # fmt: skip
        assert [error[1] for error in made.topic_errors] == [0] * 4
        await until(lambda: coordinated(client))


async def coordinated(client: AIOKafkaAdminClient) -> bool:
    """Whether groups and transactions have coordinators; their topics are made when somebody asks."""
    try:
        return all([await client.find_coordinator("counting", kind) > 0 for kind in (0, 1)])
    except KafkaError:
        return False


async def test_a_worker_that_starts_without_the_leaders_of_two_lanes_opens_the_others_and_those_when_they_are_back(
    cluster: EmbeddedCluster, kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lacks its source, the other its changelog; neither ends the process nor keeps the third from opening."""
    monkeypatch.setattr(changelog, "_ANSWER_WITHIN_S", 1.0)
    await make_topics_of_a_worker(kafka, on_the_third={SOURCE: 0, CHANGELOG: 1})
    await asyncio.to_thread(cluster.brokers[2].kill)
    await until(lambda: in_sync(cluster, {1, 2}))
    async with working(kafka, tmp_path, EngineSettings(openings=1)) as worker:
        await until(lambda: list(worker.open_lanes(SOURCE)) == [2])
        await until(lambda: f"nobody says where {SOURCE}/0" in str(worker.not_ready()))

        await asyncio.to_thread(cluster.start)

        await until(lambda: worker.ready)


async def test_who_reads_a_topic_without_a_leader_is_told_so(cluster: EmbeddedCluster, kafka: KafkaSettings) -> None:
    async with admin(kafka) as client:
        alone = NewTopic(
            "usage-rejected", -1, -1, replica_assignments={0: [3]}, topic_configs={"min.insync.replicas": "1"}
        )
        await client.create_topics([alone])
    await asyncio.to_thread(cluster.brokers[2].kill)
    await until(lambda: in_sync(cluster, {1, 2}))
    try:
        with pytest.raises(Retryable, match="no broker tells where usage-rejected begins and ends"):
            await asyncio.wait_for(reading.ends(kafka, "usage-rejected"), 60)
    finally:
        await asyncio.to_thread(cluster.start)
    assert await reading.ends(kafka, "usage-rejected") == {0: 0}


async def test_a_frozen_broker_is_replaced_and_comes_back(
    cluster: EmbeddedCluster, kafka: KafkaSettings, writer: AIOKafkaProducer
) -> None:
    """It still has its connections; nobody waits for it."""
    frozen = cluster.brokers[2]
    frozen.pause()
    await until(lambda: in_sync(cluster, {1, 2}))
    await asyncio.wait_for(writer.send_and_wait("fleet", b"without it", key=b"k"), 30)

    frozen.resume()

    await until(lambda: in_sync(cluster, {1, 2, 3}))


async def test_the_recorded_partitions_are_not_waited_for_without_end(
    cluster: EmbeddedCluster, kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that leads the record and says nothing: who asks is told so, and gets the number once another one leads."""
    leader = await until(lambda: in_sync(cluster, {1, 2, 3}, INSTALLATION))
    voter = cluster.brokers[leader.node.id % 3]

    async def told() -> bool:
        try:
            return await installation.recorded(kafka) == kafka.partitions
        except KafkaTimeoutError:
            return False

    try:
        leader.pause()
        voter.pause()  # one node alone cannot elect another leader, however slow this test is
        with monkeypatch.context() as hasty:
            hasty.setattr(installation, "_READ_WITHIN_S", 0.5)
            with pytest.raises(KafkaTimeoutError, match=r"installation could not be read within 1\.5 s"):
                await asyncio.wait_for(installation.recorded(kafka), 30)
        voter.resume()
        await until(told)
    finally:
        voter.resume()
        leader.resume()


def test_a_cluster_comes_back_with_its_ids_and_ports(cluster: EmbeddedCluster) -> None:
    """Also to another process, which only knows the folder."""
    known = EmbeddedCluster(cluster.data)

    assert known.bootstrap == cluster.bootstrap
    assert [broker.node for broker in known.brokers] == [broker.node for broker in cluster.brokers]


def test_the_brokers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves the parent no time to say goodbye."""
    code = (
        "import signal, sys; from pathlib import Path; from tests.support.embedded_cluster import *;"
        "c = EmbeddedCluster(Path(sys.argv[1]), 2); c.start();"
        "print(*(b.pid for b in c.brokers), flush=True); signal.pause()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    brokers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(brokers) == 2

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    assert psutil.wait_procs(brokers, timeout=30)[1] == []
